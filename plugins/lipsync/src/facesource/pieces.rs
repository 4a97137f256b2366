//! How a file is cut into pieces that are decoded at once and shown in reverse.

use gst::ClockTime;

use super::frames::Span;

/// Small pieces are put together up to this.
const PIECE_BYTES: u64 = 48 << 20;
const PIECE_FRAMES: usize = 100;

/// A piece of the file that is decoded at once and shown in reverse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    pub start: ClockTime,
    /// Duration of its first frame.
    pub first: ClockTime,
    pub end: ClockTime,
    pub frames: usize,
    pub bytes: u64,
    /// How many frames of the file are before it.
    pub before: usize,
}

/// Adds a frame, number `before` of the file, to the last piece or as the first of another: one that is a key
/// frame may begin one, and any other does where there are more than `limit` bytes.
pub fn add(
    pieces: &mut Vec<Piece>,
    span: Span,
    bytes: u64,
    is_key: bool,
    before: usize,
    limit: u64,
) {
    let goes_on = pieces.last_mut().filter(|piece| match is_key {
        true => piece.bytes + bytes <= PIECE_BYTES.min(limit) && piece.frames < PIECE_FRAMES,
        false => piece.bytes + bytes <= limit,
    });
    match goes_on {
        Some(piece) => {
            piece.frames += 1;
            piece.bytes += bytes;
            piece.end = span.end();
        }
        None => pieces.push(Piece {
            start: span.start,
            first: span.duration,
            end: span.end(),
            frames: 1,
            bytes,
            before,
        }),
    }
}

/// Has a piece begin at a frame that was found, up to the end of the file; gives which it is.
pub fn cut(pieces: &mut Vec<Piece>, start: Span) -> usize {
    let end = pieces.last().map_or(start.end(), |piece| piece.end);
    let middle = start.start + start.duration / 2;
    let whole = pieces.iter().map(|piece| piece.bytes).sum::<u64>();
    let all = pieces.iter().map(|piece| piece.frames).sum::<usize>();
    // Not those that begin with it, or after it.
    pieces.retain(|piece| piece.start + piece.first / 2 < start.start);
    let mut before = 0;
    if let Some(piece) = pieces.last_mut() {
        // Of one that goes on into it, so much as lies before it.
        let length = piece.end.saturating_sub(piece.start).nseconds().max(1);
        let stays = middle.saturating_sub(piece.start).nseconds().min(length);
        let frames = u128::from(piece.frames as u64) * u128::from(stays) / u128::from(length);
        let frames = (frames as usize).max(1);
        piece.bytes = piece.bytes * frames as u64 / piece.frames.max(1) as u64;
        piece.frames = frames;
        piece.end = start.start;
        before = piece.before + piece.frames;
    }
    let others = pieces.iter().map(|piece| piece.bytes).sum::<u64>();
    pieces.push(Piece {
        start: start.start,
        first: start.duration,
        end,
        frames: all.saturating_sub(before).max(1),
        bytes: whole.saturating_sub(others),
        before,
    });
    pieces.len() - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(frame: u64) -> ClockTime {
        ClockTime::from_mseconds(frame * 40)
    }

    fn piece(start: u64, end: u64) -> Piece {
        Piece {
            start: at(start),
            first: at(1),
            end: at(end),
            frames: (end - start) as usize,
            bytes: (end - start) * 100,
            before: start as usize,
        }
    }

    fn span(frame: u64) -> Span {
        Span {
            start: at(frame),
            duration: at(1),
        }
    }

    fn indexed(frames: u64, limit: u64, is_key: impl Fn(u64) -> bool) -> Vec<Piece> {
        let mut pieces = Vec::new();
        for number in 0..frames {
            let is_key = is_key(number);
            add(
                &mut pieces,
                span(number),
                100,
                is_key,
                number as usize,
                limit,
            );
        }
        pieces
    }

    #[test]
    fn a_piece_begins_with_a_key_frame() {
        let pieces = indexed(700, 1 << 20, |n| n % 250 == 0);
        assert_eq!(pieces, [piece(0, 250), piece(250, 500), piece(500, 700)]);
        // Small ones are put together.
        let pieces = indexed(250, 1 << 20, |n| n % 30 == 0);
        assert_eq!(pieces, [piece(0, 120), piece(120, 240), piece(240, 250)]);
        let pieces = indexed(150, 1 << 20, |_| true);
        assert_eq!(pieces, [piece(0, 100), piece(100, 150)]);
        // What can't be kept is parted.
        let pieces = indexed(250, 10_000, |n| n == 0);
        assert_eq!(pieces, [piece(0, 100), piece(100, 200), piece(200, 250)]);
    }

    #[test]
    fn what_was_read_before_the_turn_takes_its_place_among_the_pieces() {
        let cut_at = |mut pieces: Vec<Piece>, frame| {
            let index = cut(&mut pieces, span(frame));
            (pieces, index)
        };
        let whole = vec![piece(0, 250), piece(250, 500)];
        assert_eq!(cut_at(whole.clone(), 250), (whole.clone(), 1));
        assert_eq!(
            cut_at(whole.clone(), 400),
            (vec![piece(0, 250), piece(250, 400), piece(400, 500)], 2)
        );
        assert_eq!(
            cut_at(whole.clone(), 100),
            (vec![piece(0, 100), piece(100, 500)], 1)
        );
        assert_eq!(cut_at(whole, 0), (vec![piece(0, 500)], 0));
    }
}
