//! Which time stamps of sound are true. No GStreamer objects here, only its time type.

use gst::ClockTime;

/// Time stamps that are wrong by less than this are rounding.
const TOLERANCE: ClockTime = ClockTime::from_mseconds(40);
/// Demuxers invent no longer gaps than this.
const LONGEST_INVENTED: ClockTime = ClockTime::from_seconds(2);

/// Gives each buffer of sound its place behind the one before it.
#[derive(Debug, Default)]
pub struct Retime {
    /// Where the sound so far ends.
    next: Option<ClockTime>,
    /// Later time stamps are too late by this.
    invented: ClockTime,
}

impl Retime {
    /// The place of sound that claims to begin at `pts` and lasts `length`. `suspicious` is for files
    /// whose demuxer puts gaps where there are none.
    pub fn place(&mut self, pts: ClockTime, length: ClockTime, suspicious: bool) -> ClockTime {
        let start = match self.next {
            None => pts,
            Some(next) => {
                let claimed = pts.saturating_sub(self.invented);
                let gap = claimed.saturating_sub(next);
                if gap < TOLERANCE {
                    next
                } else if suspicious && gap < LONGEST_INVENTED {
                    self.invented += gap;
                    next
                } else {
                    claimed
                }
            }
        };
        self.next = Some(start + length);
        start
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placed(stamps: &[u64], suspicious: bool) -> Vec<u64> {
        let ms = ClockTime::from_mseconds;
        let mut retime = Retime::default();
        let place = |at: &u64| retime.place(ms(*at), ms(100), suspicious).mseconds();
        stamps.iter().map(place).collect()
    }

    #[test]
    fn sound_follows_sound_but_for_real_gaps() {
        assert_eq!(placed(&[50, 150, 253, 348], false), [50, 150, 250, 350]);
        // As the decoder of ADPCM stamps what it gives.
        assert_eq!(placed(&[0, 50, 100, 150], false), [0, 100, 200, 300]);
        assert_eq!(placed(&[0, 100, 350, 450], false), [0, 100, 350, 450]);
        // Small ones add up.
        assert_eq!(placed(&[0, 130, 260], false), [0, 100, 260]);
    }

    #[test]
    fn a_demuxer_that_invents_gaps_is_believed_where_they_are_long() {
        assert_eq!(placed(&[0, 100, 350, 450], true), [0, 100, 200, 300]);
        assert_eq!(placed(&[0, 250, 3000], true), [0, 100, 2850]);
    }
}
