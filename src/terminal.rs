//! Text for terminals. Names of files and messages of libraries can have anything in them; to a terminal
//! some of that are orders: to take a line back, to change the window's title, to answer as if typed.

use std::fmt::Display;

/// One line without orders to a terminal.
pub fn plain(text: impl Display) -> String {
    let text = text.to_string();
    if text.contains(is_order) {
        text.replace(is_order, "\u{fffd}")
    } else {
        text
    }
}

/// Control characters, those of 8 bits too, and those that turn the direction of reading.
fn is_order(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_give_no_orders() {
        assert_eq!(plain("臉 é.mp4"), "臉 é.mp4");
        let name = "a\u{1b}[2K\n1 done\u{9b}31m\u{202e}4pm\r.mp4";
        assert!(!plain(name).contains(is_order));
        assert!(plain(name).starts_with("a\u{fffd}[2K\u{fffd}1 done"));
    }
}
