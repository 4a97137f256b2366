//! `lipflow doctor`: is all there that a job needs, and what to do where it isn't.

mod elements;
mod machine;
mod runtime;

use std::fmt::Write;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use super::print;

/// Check GStreamer, its plugins, ONNX Runtime and the models, and say how to mend each.
///
/// The exit code is 0 unless something fails; a warning is about what not every job needs.
#[derive(Args, Debug)]
pub struct DoctorArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Ok,
    /// Some jobs need it.
    Warn,
    /// Every job needs it.
    Fail,
}

/// One line of the report.
#[derive(Debug, Serialize)]
struct Finding {
    what: String,
    status: Status,
    detail: String,
    remedy: Option<String>,
}

impl Finding {
    fn ok(what: &str, detail: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            status: Status::Ok,
            detail: detail.into(),
            remedy: None,
        }
    }

    fn bad(
        status: Status,
        what: &str,
        detail: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            what: what.into(),
            status,
            detail: detail.into(),
            remedy: Some(remedy.into()),
        }
    }
}

#[derive(Serialize)]
struct Report {
    ok: bool,
    findings: Vec<Finding>,
}

pub fn run(args: DoctorArgs) -> anyhow::Result<ExitCode> {
    crate::init()?;
    let mut findings = elements::findings();
    findings.extend(runtime::findings());
    findings.extend(machine::findings());
    let report = Report {
        ok: findings.iter().all(|f| f.status != Status::Fail),
        findings,
    };
    let text = match args.json {
        true => serde_json::to_string_pretty(&report)? + "\n",
        false => plain(&report.findings),
    };
    print(&text)?;
    Ok(match report.ok {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

fn plain(findings: &[Finding]) -> String {
    let width = findings.iter().map(|f| f.what.len()).max().unwrap_or(0);
    let mut text = String::new();
    for finding in findings {
        let status = match finding.status {
            Status::Ok => "OK  ",
            Status::Warn => "WARN",
            Status::Fail => "FAIL",
        };
        let _ = writeln!(
            text,
            "{status}  {:width$}  {}",
            finding.what, finding.detail
        );
        if let Some(remedy) = &finding.remedy {
            let _ = writeln!(text, "      {:width$}  -> {remedy}", "");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remedy_stands_under_its_finding() {
        let text = plain(&[
            Finding::ok("a", "there"),
            Finding::bad(Status::Fail, "bcd", "gone", "get it"),
        ]);
        assert_eq!(
            text,
            "OK    a    there\nFAIL  bcd  gone\n           -> get it\n"
        );
    }
}
