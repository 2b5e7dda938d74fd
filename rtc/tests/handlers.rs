//! What handlers capture may be anything.

use librtc::{DataChannel, PeerConnection};

/// Uses its channel once more when it goes.
struct Farewell(DataChannel);

impl Drop for Farewell {
    fn drop(&mut self) {
        self.0.clear_on_closed();
        self.0.clear_on_error();
    }
}

#[test]
fn what_a_replaced_handler_captured_may_use_the_channel_while_it_is_dropped() {
    let builder = PeerConnection::builder().disable_auto_negotiation(true);
    let connection = builder.build().expect("the settings are good");
    let channel = connection.create_data_channel("farewell").expect("a channel");
    let farewell = || Farewell(channel.clone());

    let captured = farewell();
    channel.on_message(move |_, _| _ = &captured);
    channel.clear_on_message();
    let captured = farewell();
    channel.on_open(move |_| _ = &captured);
    channel.clear_on_open();
    let captured = farewell();
    channel.on_error(move |_, _| _ = &captured);
    channel.clear_on_error();
}
