//! What an error of a sink means, in the words that an operator is told.

use crate::event::DestinationCause;
use crate::live::address::Address;

/// What an error of a sink means, and in which words.
pub(super) fn meaning_of(
    error: &gst::message::Error,
    address: &Address,
) -> (DestinationCause, String) {
    let debug = error.debug().unwrap_or_default();
    // GStreamer adds the domain and the number of an error, which tell nobody anything.
    let plain = |text: &str| -> String {
        let text = text.split("domain g-").next().unwrap_or(text);
        text.trim_matches([' ', ':', '.']).into()
    };
    let text = plain(error.error().message());
    // The cause is often only in the debug text, behind the place in the source.
    let cause = plain(debug.lines().last().unwrap_or_default());
    let reason = if cause.is_empty() || cause.contains(".c(") || text.contains(&cause) {
        text
    } else {
        format!("{text}: {cause}")
    };
    (cause_of(&reason, address), address.redact(&reason))
}

pub(super) fn cause_of(reason: &str, address: &Address) -> DestinationCause {
    let reason = reason.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| reason.contains(word));
    if matches!(
        address,
        Address::Hls(_) | Address::Matroska(_) | Address::Mp4(_)
    ) {
        DestinationCause::File
    } else if has(&["resolv", "name or service", "no such host"]) {
        DestinationCause::Address
    } else if has(&["certificate"]) {
        DestinationCause::Certificate
    } else if has(&["refused", "unreachable", "could not connect"]) {
        DestinationCause::Refused
    } else if has(&[
        "cmd failed",
        "badname",
        "rejected",
        "denied",
        "not found",
        "authoriz",
        "authent",
        "publish",
    ]) {
        DestinationCause::Rejected
    } else if has(&[
        "reset",
        "broken pipe",
        "closed",
        "timed out",
        "timeout",
        "error sending",
        "error receiving",
    ]) {
        DestinationCause::Lost
    } else {
        DestinationCause::Other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_have_causes() {
        let rtmp: Address = "rtmp://host/live/key".parse().unwrap();
        let cause = |reason: &str| cause_of(reason, &rtmp);
        let name =
            "Failed to connect: Error resolving \u{201c}x\u{201d}: Name or service not known";
        assert_eq!(cause(name), DestinationCause::Address);
        let refused = "Connection refused: Could not connect to 127.0.0.1: Connection refused";
        assert_eq!(cause(refused), DestinationCause::Refused);
        let lost = "Connection error: Error receiving data: Connection reset by peer";
        assert_eq!(cause(lost), DestinationCause::Lost);
        let wrong = "Failed to connect: 'connect' cmd failed: connection closed remotely";
        assert_eq!(cause(wrong), DestinationCause::Rejected);
        let certificate = "Failed to connect: Unacceptable TLS certificate";
        assert_eq!(cause(certificate), DestinationCause::Certificate);
        assert_eq!(cause("publish denied"), DestinationCause::Rejected);
        let file: Address = "tape.mkv".parse().unwrap();
        assert_eq!(cause_of("No space left", &file), DestinationCause::File);
    }
}
