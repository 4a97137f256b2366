//! Keys of streams and passwords: where they come from, and how they stay out of what others see. The
//! arguments of a process are shown to every user of the machine.

use std::path::Path;

use crate::error::{Failure, FailureKind};
use crate::event::{Body, ErrorReport};

/// A value that may be kept out of the arguments: `@FILE` is the first line of a file, `env:NAME` a
/// variable of the environment, and anything else is itself.
pub fn given(text: &str) -> Result<String, Failure> {
    if let Some(name) = text.strip_prefix("env:") {
        return std::env::var(name).map_err(|_| {
            Failure::new(FailureKind::Usage)
                .because(format_args!(
                    "there is no variable {name} in the environment"
                ))
                .advice("Set it, or give @FILE")
        });
    }
    let Some(path) = text.strip_prefix('@').map(Path::new) else {
        return Ok(text.to_owned());
    };
    let failed = |reason: &dyn std::fmt::Display| {
        Failure::of(FailureKind::Usage, path)
            .because(reason)
            .advice("The first line of the file is to be the value")
    };
    let content = std::fs::read_to_string(path).map_err(|e| failed(&e))?;
    let line = content.lines().next().map(str::trim).unwrap_or_default();
    match line {
        "" => Err(failed(&"the file is empty")),
        line => Ok(line.to_owned()),
    }
}

/// The parts of a URL.
pub(crate) struct Parts<'a> {
    pub scheme: &'a str,
    /// Name and password.
    user: &'a str,
    /// With the port.
    pub host: &'a str,
    path: &'a str,
    query: &'a str,
}

impl<'a> Parts<'a> {
    pub fn of(url: &'a str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let (authority, rest) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        Some(Self {
            scheme,
            user,
            host,
            path: path.trim_matches('/'),
            query,
        })
    }

    /// What may be shown of the path, and what may not. Behind the application of an RTMP server
    /// comes the key.
    fn split_path(&self) -> (&'a str, Option<&'a str>) {
        if !self.scheme.to_ascii_lowercase().starts_with("rtmp") {
            return (self.path, None);
        }
        let (application, key) = self.path.split_once('/').unwrap_or((self.path, ""));
        (application, Some(key))
    }
}

/// `url` without what is secret in it: name and password, the key of an RTMP stream, the query.
pub fn public_url(url: &str) -> String {
    let Some(parts) = Parts::of(url) else {
        return "...".into();
    };
    let mut public = format!("{}://{}", parts.scheme, parts.host);
    let (path, key) = parts.split_path();
    for part in [path, key.map_or("", |_| "...")] {
        if !part.is_empty() {
            public.push('/');
            public.push_str(part);
        }
    }
    public
}

/// Takes what is secret in `url` out of a text that a library wrote.
pub fn redact(url: &str, text: &str) -> String {
    let Some(parts) = Parts::of(url) else {
        return text.into();
    };
    let key = parts.split_path().1.unwrap_or("");
    let mut secrets = vec![parts.user, key, parts.query];
    secrets.extend(parts.user.split(':'));
    secrets.extend(key.split('/'));
    let values = parts
        .query
        .split(['&', ';'])
        .filter_map(|p| p.split_once('='));
    secrets.extend(values.map(|(_, value)| value));
    // One that is part of another would leave the rest of that.
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    let mut clean = text.replace(url, &public_url(url));
    for secret in secrets {
        // A secret of a letter or two would spoil every other word.
        if secret.len() > 2 {
            clean = clean.replace(secret, "...");
        }
    }
    clean
}

/// An argument of a command line without what is secret in a URL in it: `url=rtmp://host/live/key`, say.
pub fn public_argument(argument: &str) -> String {
    let Some(colon) = argument.find("://") else {
        return argument.to_owned();
    };
    let before = &argument[..colon];
    let is_of_scheme = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
    let start = before.trim_end_matches(is_of_scheme).len();
    format!("{}{}", &argument[..start], public_url(&argument[start..]))
}

/// Takes what is secret in the URLs out of what a job says.
pub fn hide(urls: &[String], body: Body) -> Body {
    let clean = |text: String| urls.iter().fold(text, |text, url| redact(url, &text));
    match body {
        _ if urls.is_empty() => body,
        Body::Warning { message, source } => Body::Warning {
            message: clean(message),
            source,
        },
        Body::Message { message } => Body::Message {
            message: clean(message),
        },
        Body::Result(mut outcome) => {
            outcome.error = outcome.error.map(|error| ErrorReport {
                reason: clean(error.reason),
                remedy: clean(error.remedy),
                file: error.file.map(clean),
                ..error
            });
            Body::Result(outcome)
        }
        body => body,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Outcome, Progress};

    #[test]
    fn a_value_can_come_from_a_file_or_the_environment() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        std::fs::write(&path, "rtmp://host/live/s3cret \n# nothing more\n").unwrap();
        let at = |path: &Path| given(&format!("@{}", path.display()));
        assert_eq!(at(&path).as_deref(), Ok("rtmp://host/live/s3cret"));
        std::fs::write(&path, "\n").unwrap();
        for failure in [at(&path), at(folder.path()), given("env:LIPFLOW_NO_SUCH")] {
            assert_eq!(failure.unwrap_err().kind, FailureKind::Usage);
        }
        let path = std::env::var("PATH").unwrap();
        assert_eq!(given("env:PATH"), Ok(path));
        assert_eq!(given("a@b.mkv").as_deref(), Ok("a@b.mkv"));
    }

    #[test]
    fn arguments_are_kept_without_keys() {
        let cases = [
            (
                "url=rtmp://me:pw@host/live/s3cret",
                "url=rtmp://host/live/...",
            ),
            (
                "--set=url=srt://h:9?passphrase=s3cret",
                "--set=url=srt://h:9",
            ),
            ("rtsp://host/face", "rtsp://host/face"),
            ("out/{speech.stem}.mp4", "out/{speech.stem}.mp4"),
        ];
        for (argument, shown) in cases {
            assert_eq!(public_argument(argument), shown);
        }
    }

    #[test]
    fn what_a_job_says_has_no_keys_in_it() {
        let urls = ["rtmp://host/live/s3cret".to_owned()];
        let failure = Failure::of(FailureKind::Internal, Path::new(&urls[0]))
            .because("can't connect to rtmp://host/live/s3cret: bad key s3cret");
        let outcome = Outcome::of_failure(&failure, &Progress::default());
        let message = || "rtmp://host/live/s3cret is slow".to_owned();
        let bodies = [
            Body::Result(outcome),
            Body::Message { message: message() },
            Body::Warning {
                message: message(),
                source: None,
            },
        ];
        for body in bodies {
            let text = serde_json::to_string(&hide(&urls, body)).unwrap();
            assert!(!text.contains("s3cret") && text.contains("host"), "{text}");
        }
    }
}
