//! ONNX Runtime, what it can run on, and the models.

use std::ffi::{CStr, CString, c_char, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use gstlipsync::face;
use gstlipsync::face::detector::{self, Detector};
use gstlipsync::face::mesh::{self, Mesher};
use gstlipsync::model::{Look, Model};
use gstlipsync::runtime::{self, Options, Provider};

use super::{Finding, Status};

const SET_UP: &str = "Run `cargo xtask setup`";

pub fn findings() -> Vec<Finding> {
    let library = library();
    let is_usable = library.status == Status::Ok;
    let mut findings = vec![library];
    // Without the library there is nothing to say about the rest.
    if is_usable {
        findings.push(providers());
        findings.push(default_model());
        findings.push(helper("face detector", detector::FILE, |path| {
            Detector::load(path, face::OPTIONS)
                .map(drop)
                .map_err(|e| e.to_string())
        }));
        findings.push(helper("face mesh", mesh::FILE, |path| {
            Mesher::load(path, face::OPTIONS)
                .map(drop)
                .map_err(|e| e.to_string())
        }));
    }
    findings
}

fn library() -> Finding {
    const WHAT: &str = "ONNX Runtime";
    match runtime::environment() {
        Ok(_) => {
            let path = runtime::candidates().into_iter().find(|p| p.is_file());
            let path = path.unwrap_or_default();
            let version = version(&path).unwrap_or_else(|| "of unknown version".into());
            Finding::ok(WHAT, format!("{version}, {}", path.display()))
        }
        Err(runtime::Error::LibraryNotFound(candidates)) => {
            let places: Vec<_> = candidates.iter().map(|p| p.display().to_string()).collect();
            Finding::bad(
                Status::Fail,
                WHAT,
                format!("not found. Looked at: {}", places.join(", ")),
                format!(
                    "{SET_UP}, or set {} to the path of libonnxruntime.so",
                    runtime::LIBRARY_PATH_VARIABLE
                ),
            )
        }
        Err(error) => Finding::bad(Status::Fail, WHAT, error.to_string(), SET_UP),
    }
}

/// The version that a loaded library says it has. The bindings know it and don't tell.
fn version(library: &Path) -> Option<String> {
    /// `OrtApiBase` of onnxruntime_c_api.h, the one part of its interface that never changes.
    #[repr(C)]
    struct ApiBase {
        _get_api: extern "C" fn(u32) -> *const c_void,
        get_version: extern "C" fn() -> *const c_char,
    }
    let path = CString::new(library.as_os_str().as_bytes()).ok()?;
    // SAFETY: both strings end with a NUL. RTLD_NOLOAD runs nothing: the library is loaded already.
    let symbol = unsafe {
        let handle = libc::dlopen(path.as_ptr(), libc::RTLD_LAZY | libc::RTLD_NOLOAD);
        if handle.is_null() {
            return None;
        }
        libc::dlsym(handle, c"OrtGetApiBase".as_ptr())
    };
    if symbol.is_null() {
        return None;
    }
    // SAFETY: ONNX Runtime exports this symbol as a function of that type. What it points to is
    // static, and the library is never unloaded.
    let version = unsafe {
        let base: extern "C" fn() -> *const ApiBase = std::mem::transmute(symbol);
        let base = base().as_ref()?;
        CStr::from_ptr((base.get_version)())
    };
    Some(version.to_string_lossy().into_owned())
}

/// Tries each provider on the embedded model.
fn providers() -> Finding {
    const WHAT: &str = "runs on";
    let works = |provider: Provider| {
        let options = Options {
            provider,
            ..Options::default()
        };
        Model::resolve(None)
            .and_then(|model| model.open(options, Look::Stream, 1))
            .map(|network| network.session().provider)
    };
    let named = Provider::ALL.into_iter().filter(|p| *p != Provider::Auto);
    let (usable, other): (Vec<_>, Vec<_>) = named.partition(|provider| works(*provider).is_ok());
    let names = |providers: &[Provider]| {
        let names: Vec<_> = providers.iter().map(|p| p.name()).collect();
        names.join(", ")
    };
    if usable.is_empty() {
        let reason = works(Provider::Cpu).err().map(|e| e.to_string());
        return Finding::bad(Status::Fail, WHAT, reason.unwrap_or_default(), SET_UP);
    }
    let mut detail = names(&usable);
    if let Ok(picked) = works(Provider::Auto) {
        detail.push_str(&format!("; auto is {}", picked.name()));
    }
    if !other.is_empty() {
        detail.push_str(&format!("; not here: {}", names(&other)));
    }
    Finding::ok(WHAT, detail)
}

fn default_model() -> Finding {
    const WHAT: &str = "default model";
    let options = Options {
        provider: Provider::Cpu,
        ..Options::default()
    };
    let checked = Model::resolve(None).and_then(|model| Ok((model.check(options)?, model)));
    match checked {
        Ok((report, _)) if !report.fits() => {
            Finding::bad(Status::Fail, WHAT, report.reasons.join("; "), SET_UP)
        }
        Ok((_, model)) => match model.lacking() {
            None => Finding::ok(WHAT, format!("`{}` loads and runs", model.name())),
            Some(front) => Finding::bad(
                Status::Warn,
                WHAT,
                format!(
                    "`{}` loads and runs; the better one needs {}, which is not there",
                    model.name(),
                    front.display()
                ),
                SET_UP,
            ),
        },
        Err(error) => Finding::bad(Status::Fail, WHAT, error.to_string(), SET_UP),
    }
}

fn helper(what: &str, file: &str, load: impl Fn(&Path) -> Result<(), String>) -> Finding {
    let path = runtime::data_dir().join("models").join(file);
    match load(&path) {
        Ok(()) => Finding::ok(what, format!("loads, {}", path.display())),
        Err(reason) => Finding::bad(Status::Fail, what, reason, SET_UP),
    }
}
