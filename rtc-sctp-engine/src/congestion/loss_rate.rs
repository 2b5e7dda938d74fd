//! The share of bytes lost lately.

/// Packets that the share is computed of at least: with fewer, it is chance.
const HORIZON: usize = 200;

/// A decaying count of bytes delivered and lost.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LossRate {
    delivered: usize,
    lost: usize,
}

impl LossRate {
    pub(super) fn delivered(&mut self, bytes: usize, segment: usize) {
        self.delivered += bytes;
        if self.delivered > 2 * HORIZON * segment {
            self.delivered /= 2;
            self.lost /= 2;
        }
    }

    pub(super) fn lost(&mut self, bytes: usize) {
        self.lost += bytes;
    }

    /// Whether more than `percent` of the packets were lost.
    pub(super) fn exceeds(&self, percent: usize, segment: usize) -> bool {
        let total = self.delivered + self.lost;
        total >= HORIZON * segment && self.lost * 100 > total * percent
    }

    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }
}
