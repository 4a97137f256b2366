//! Where a broadcast goes: what `--to` takes.

use std::fmt;
use std::net::{TcpStream, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use crate::event::DestinationCause;
use crate::path::normalised;
use crate::secret::{Parts, public_url, redact};

/// How long a host may take to answer at all.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);

/// A destination.
#[derive(Clone, PartialEq, Eq)]
pub enum Address {
    /// rtmp:// or rtmps://
    Rtmp(String),
    /// srt://
    Srt(String),
    /// rtsp:// or rtsps://
    Rtsp(String),
    /// A playlist; its segments are beside it.
    Hls(PathBuf),
    /// A recording that can be cut off anywhere.
    Matroska(PathBuf),
    /// Fragmented, so that a kill leaves what there is.
    Mp4(PathBuf),
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some((scheme, rest)) = text.split_once("://") else {
            let path = PathBuf::from(text);
            let extension = path.extension().and_then(|e| e.to_str());
            return match extension.map(str::to_ascii_lowercase).as_deref() {
                Some("m3u8") => Ok(Self::Hls(path)),
                Some("mkv") => Ok(Self::Matroska(path)),
                Some("mp4") => Ok(Self::Mp4(path)),
                _ => Err("it is neither a URL nor a file that ends in .m3u8, .mkv or .mp4".into()),
            };
        };
        match scheme.to_ascii_lowercase().as_str() {
            "rtmp" | "rtmps" => {
                let parts = rest.split('/').filter(|part| !part.is_empty()).count();
                if parts < 3 {
                    return Err("an RTMP address is rtmp://HOST/APPLICATION/KEY".into());
                }
                Ok(Self::Rtmp(text.into()))
            }
            "srt" if !rest.is_empty() => Ok(Self::Srt(text.into())),
            "rtsp" | "rtsps" if !rest.is_empty() => Ok(Self::Rtsp(text.into())),
            _ => Err("it is none of rtmp://, rtmps://, srt://, rtsp:// and rtsps://".into()),
        }
    }
}

/// Without what is secret: the key of a stream, passphrases and stream ids.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rtmp(url) | Self::Srt(url) | Self::Rtsp(url) => f.write_str(&public_url(url)),
            Self::Hls(path) | Self::Matroska(path) | Self::Mp4(path) => {
                write!(f, "{}", path.display())
            }
        }
    }
}

/// As it is displayed: addresses get into logs that way too.
impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Address {
    /// Takes what is secret out of a text that a library wrote.
    pub fn redact(&self, text: &str) -> String {
        match self {
            Self::Rtmp(url) | Self::Srt(url) | Self::Rtsp(url) => redact(url, text),
            _ => text.into(),
        }
    }

    /// Why nobody answers there, if nobody does: the RTSP element says no more than "generic error".
    pub fn unreachable(&self) -> Option<(DestinationCause, String)> {
        let Self::Rtsp(url) = self else { return None };
        let Parts { scheme, host, .. } = Parts::of(url)?;
        let port = host.rsplit_once(':').map(|(_, port)| port.parse::<u16>());
        let place = match (port, scheme) {
            (Some(Ok(_)), _) => host.to_owned(),
            (_, "rtsps") => format!("{host}:322"),
            _ => format!("{host}:554"),
        };
        let place = match place.to_socket_addrs() {
            Ok(mut places) => places.next()?,
            Err(error) => {
                let reason = format!("{host} is not known: {error}");
                return Some((DestinationCause::Address, reason));
            }
        };
        let error = TcpStream::connect_timeout(&place, ANSWER_LIMIT).err()?;
        let reason = format!("{place} can't be connected to: {error}");
        Some((DestinationCause::Refused, reason))
    }

    /// Whether both lead to one place, however a file is spelled.
    pub fn is_same(&self, other: &Self) -> bool {
        match (self.file(), other.file()) {
            (Some(own), Some(other)) => normalised(own) == normalised(other),
            _ => self == other,
        }
    }

    fn file(&self) -> Option<&Path> {
        match self {
            Self::Hls(path) | Self::Matroska(path) | Self::Mp4(path) => Some(path),
            Self::Rtmp(_) | Self::Srt(_) | Self::Rtsp(_) => None,
        }
    }

    /// The template that sends there, and the parameter that takes the address.
    pub fn template(&self) -> &'static str {
        match self {
            Self::Rtmp(_) => "live-rtmp",
            Self::Srt(_) => "live-srt",
            Self::Rtsp(_) => "live-rtsp",
            Self::Hls(_) => "live-hls",
            Self::Matroska(_) => "live-mkv",
            Self::Mp4(_) => "live-mp4",
        }
    }
}

/// How long to wait before the next try: 1 s, doubled each time, at most 30 s.
pub fn back_off(failures: u32) -> Duration {
    let seconds = 1_u64 << failures.saturating_sub(1).min(5);
    Duration::from_secs(seconds.min(30))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_file_is_one_destination_however_it_is_spelled() {
        let is_same = |a: &str, b: &str| {
            let [a, b] = [a, b].map(|text| text.parse::<Address>().unwrap());
            a.is_same(&b)
        };
        assert!(is_same("tape.mkv", "./tape.mkv"));
        assert!(is_same("air/index.m3u8", "air/../air/./index.m3u8"));
        assert!(!is_same("tape.mkv", "tape-2.mkv"));
        assert!(is_same("rtmp://h/live/key", "rtmp://h/live/key"));
        assert!(!is_same("rtmp://h/live/key", "rtmp://h/live/other"));
    }

    #[test]
    fn addresses_are_told_apart() {
        let template = |text: &str| text.parse::<Address>().map(|a| a.template());
        assert_eq!(template("rtmp://h/live/key"), Ok("live-rtmp"));
        assert_eq!(template("RTMPS://h:443/live/key"), Ok("live-rtmp"));
        assert_eq!(template("srt://h:9000?streamid=x"), Ok("live-srt"));
        assert_eq!(template("rtsp://h:8554/face"), Ok("live-rtsp"));
        assert_eq!(template("air/index.m3u8"), Ok("live-hls"));
        assert_eq!(template("tape.mkv"), Ok("live-mkv"));
        assert_eq!(template("tape.MP4"), Ok("live-mp4"));
        for bad in [
            "rtmp://h/key",
            "rtmp://",
            "http://h/x",
            "srt://",
            "rtsp://",
            "tape.avi",
            "",
        ] {
            assert!(template(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn keys_are_never_shown() {
        let cases = [
            ("rtmp://u:pw12@host/live/s3cret-key", "rtmp://host/live/..."),
            ("rtmp://host/live/s3cret-key/", "rtmp://host/live/..."),
            (
                "rtmp://host/live/s3cret-key?sig=pw12&way=a/b",
                "rtmp://host/live/...",
            ),
            (
                "rtmps://host:443/live/pw12/s3cret-key",
                "rtmps://host:443/live/...",
            ),
            (
                "srt://host:9000?passphrase=s3cret-key&streamid=pw12",
                "srt://host:9000",
            ),
            (
                "rtsp://u:pw12@host:8554/face?token=s3cret-key",
                "rtsp://host:8554/face",
            ),
        ];
        for (url, shown) in cases {
            let address: Address = url.parse().unwrap();
            assert_eq!(address.to_string(), shown);
            assert_eq!(format!("{address:?}"), shown);
            let mut texts = vec![format!("Failed to connect to '{url}'")];
            for secret in ["s3cret-key", "pw12"] {
                if url.contains(secret) {
                    texts.push(format!("bad key '{secret}'"));
                }
            }
            for text in texts {
                let clean = address.redact(&text);
                assert!(
                    !clean.contains("s3cret-key") && !clean.contains("pw12"),
                    "{clean}"
                );
            }
        }
    }

    #[test]
    fn hosts_that_do_not_answer_are_told_apart() {
        let cause = |url: &str| {
            let address: Address = url.parse().unwrap();
            address.unreachable().map(|(cause, _)| cause)
        };
        let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = server.local_addr().unwrap().port();
        let url = format!("rtsp://me:secret@127.0.0.1:{port}/face");
        assert_eq!(cause(&url), None);
        drop(server);
        assert_eq!(cause(&url), Some(DestinationCause::Refused));
        let unknown = cause("rtsp://no-such-host.invalid/face");
        assert_eq!(unknown, Some(DestinationCause::Address));
    }

    #[test]
    fn pauses_double_up_to_half_a_minute() {
        let seconds: Vec<_> = (1..=8).map(|n| back_off(n).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 30, 30, 30]);
    }
}
