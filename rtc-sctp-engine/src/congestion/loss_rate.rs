//! The share of bytes lost lately.

/// Above this share, in percent, loss counts as congestion whatever the delay says.
const CEILING_PERCENT: usize = 10;
/// Packets between which the share is computed: with fewer, chance alone exceeds the ceiling.
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

    pub(super) fn exceeds_ceiling(&self, segment: usize) -> bool {
        let total = self.delivered + self.lost;
        total >= HORIZON * segment && self.lost * 100 > total * CEILING_PERCENT
    }

    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }
}
