//! Frames that stay for long are sent several times: a mouth must be able to move meanwhile.

use gst::ClockTime;

/// Fewer than 12 frames a second are no movement; containers that count in milliseconds round that.
pub const LONGEST_FRAME: ClockTime = ClockTime::from_mseconds(85);

/// How often a frame that lasts for `duration` is sent: once, or where it lasts longer than `longest`,
/// which is a mouth that stands still, as often as at the usual 25 frames/s. Zero is no limit.
pub fn times_sent(duration: ClockTime, longest: ClockTime) -> u64 {
    const USUAL: ClockTime = ClockTime::from_mseconds(40);
    if longest.is_zero() || duration <= longest {
        return 1;
    }
    duration.nseconds().div_ceil(USUAL.nseconds()).max(1)
}
