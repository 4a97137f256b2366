//! libheif, found and loaded when a picture first needs it. What is `unsafe` of it is here.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr::{self, NonNull};
use std::sync::OnceLock;

use crate::decode::heif::Coding;

/// The first whose interface is stable; all versions since are called so.
const NAME: &str = "libheif.so.1";

// Of heif.h, whose numbers and layouts do not change.
const COMPRESSION_HEVC: c_int = 1;
const COMPRESSION_AV1: c_int = 4;
const COLORSPACE_RGB: c_int = 1;
const CHROMA_RGB: c_int = 10;
const CHROMA_RGBA: c_int = 11;
const CHANNEL_INTERLEAVED: c_int = 10;
const UNSUPPORTED_FILETYPE: c_int = 3;
const UNSUPPORTED_FEATURE: c_int = 4;

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("HEIC and AVIF pictures need libheif: {0}. On Debian, install libheif1")]
    Missing(String),
    #[error("libheif can't decode this picture: {0}. Convert it to PNG or JPEG")]
    Unsupported(String),
    #[error("{0}")]
    Damaged(String),
}

#[repr(C)]
struct Status {
    code: c_int,
    detail: c_int,
    message: *const c_char,
}

/// The beginning of `heif_color_profile_nclx`, which libheif allocates.
#[repr(C)]
struct Nclx {
    version: u8,
    primaries: c_int,
    transfer: c_int,
    matrix: c_int,
    is_full_range: u8,
}

macro_rules! functions {
    ($($name:ident: fn($($argument:ty),*) $(-> $result:ty)?;)*) => {
        struct Functions {
            $($name: unsafe extern "C" fn($($argument),*) $(-> $result)?,)*
        }

        impl Functions {
            /// # Safety
            /// The library must be libheif, whose functions have these types, and stay loaded.
            unsafe fn of(library: &libloading::Library) -> Result<Self, libloading::Error> {
                // SAFETY: what the caller promises.
                unsafe { Ok(Self { $($name: *library.get(stringify!($name))?,)* }) }
            }
        }
    };
}

functions! {
    heif_have_decoder_for_format: fn(c_int) -> c_int;
    heif_context_alloc: fn() -> *mut c_void;
    heif_context_free: fn(*mut c_void);
    heif_context_read_from_memory_without_copy: fn(*mut c_void, *const c_void, usize, *const c_void) -> Status;
    heif_context_get_primary_image_handle: fn(*mut c_void, *mut *mut c_void) -> Status;
    heif_image_handle_release: fn(*const c_void);
    heif_image_handle_has_alpha_channel: fn(*const c_void) -> c_int;
    heif_image_handle_is_premultiplied_alpha: fn(*const c_void) -> c_int;
    heif_image_handle_get_nclx_color_profile: fn(*const c_void, *mut *mut Nclx) -> Status;
    heif_nclx_color_profile_free: fn(*mut Nclx);
    heif_decode_image: fn(*const c_void, *mut *mut c_void, c_int, c_int, *const c_void) -> Status;
    heif_image_get_width: fn(*const c_void, c_int) -> c_int;
    heif_image_get_height: fn(*const c_void, c_int) -> c_int;
    heif_image_get_plane_readonly: fn(*const c_void, c_int, *mut c_int) -> *const u8;
    heif_image_release: fn(*const c_void);
}

pub struct Library {
    functions: Functions,
    _loaded: libloading::Library,
}

/// The process's libheif. A failure is not remembered, so that a long-lived process can be mended.
pub fn library() -> Result<&'static Library, Error> {
    static LIBRARY: OnceLock<Library> = OnceLock::new();
    if let Some(library) = LIBRARY.get() {
        return Ok(library);
    }
    let missing = |e: libloading::Error| Error::Missing(e.to_string());
    // SAFETY: what libheif does as it is loaded has no preconditions.
    let loaded = unsafe { libloading::Library::new(NAME) }.map_err(missing)?;
    // SAFETY: it is libheif, and stays loaded as long as the process runs.
    let functions = unsafe { Functions::of(&loaded) }.map_err(missing)?;
    Ok(LIBRARY.get_or_init(|| Library {
        functions,
        _loaded: loaded,
    }))
}

/// A picture of one byte a channel, whose rows lie behind one another.
pub struct Picture {
    pub width: u32,
    pub height: u32,
    pub has_alpha: bool,
    pub is_premultiplied: bool,
    /// Numbers of primaries and transfer (ISO/IEC 23091-2), where the file states them.
    pub colours: Option<(u32, u32)>,
    pixels: NonNull<u8>,
    stride: usize,
    /// What holds the pixels.
    _image: Owned,
}

impl Picture {
    pub fn rows(&self) -> impl Iterator<Item = &[u8]> {
        let bytes = self.width as usize * if self.has_alpha { 4 } else { 3 };
        (0..self.height as usize).map(move |y| {
            // SAFETY: the image, which lives as long as `self`, has `height` rows of `stride` bytes, and each
            // begins with the pixels of its width.
            unsafe { std::slice::from_raw_parts(self.pixels.as_ptr().add(y * self.stride), bytes) }
        })
    }
}

/// Something of libheif's that has to be released.
struct Owned {
    object: *mut c_void,
    release: unsafe extern "C" fn(*const c_void),
}

impl Drop for Owned {
    fn drop(&mut self) {
        // SAFETY: libheif gave it, and it is released once.
        unsafe { (self.release)(self.object) };
    }
}

struct Context<'a>(*mut c_void, &'a Functions);

impl Drop for Context<'_> {
    fn drop(&mut self) {
        // SAFETY: libheif gave it, and it is released once.
        unsafe { (self.1.heif_context_free)(self.0) };
    }
}

impl Library {
    /// Whether there is a decoder for pictures of that coding.
    pub fn reads(&self, coding: Coding) -> bool {
        let format = match coding {
            Coding::Hevc => COMPRESSION_HEVC,
            Coding::Av1 => COMPRESSION_AV1,
        };
        // SAFETY: the function takes any number.
        unsafe { (self.functions.heif_have_decoder_for_format)(format) != 0 }
    }

    /// The primary picture of a file, upright.
    pub fn decode(&self, file: &[u8]) -> Result<Picture, Error> {
        let f = &self.functions;
        // SAFETY: the function has no preconditions.
        let context = Context(unsafe { (f.heif_context_alloc)() }, f);
        if context.0.is_null() {
            return Err(Error::Damaged("there is no memory for it".into()));
        }
        let (data, size) = (file.as_ptr().cast(), file.len());
        // SAFETY: `file` outlives the context. The options may be absent.
        check(unsafe {
            (f.heif_context_read_from_memory_without_copy)(context.0, data, size, ptr::null())
        })?;
        let mut handle = ptr::null_mut();
        // SAFETY: both are valid.
        check(unsafe { (f.heif_context_get_primary_image_handle)(context.0, &raw mut handle) })?;
        let handle = Owned {
            object: handle,
            release: f.heif_image_handle_release,
        };
        // SAFETY: the handle is valid, here and below.
        let has_alpha = unsafe { (f.heif_image_handle_has_alpha_channel)(handle.object) != 0 };
        // SAFETY: as above.
        let is_premultiplied = has_alpha
            && unsafe { (f.heif_image_handle_is_premultiplied_alpha)(handle.object) != 0 };
        let chroma = if has_alpha { CHROMA_RGBA } else { CHROMA_RGB };
        let mut image = ptr::null_mut();
        // SAFETY: as above; the options may be absent.
        check(unsafe {
            (f.heif_decode_image)(
                handle.object,
                &raw mut image,
                COLORSPACE_RGB,
                chroma,
                ptr::null(),
            )
        })?;
        let image = Owned {
            object: image,
            release: f.heif_image_release,
        };
        let mut stride = 0;
        // SAFETY: the image is valid.
        let (pixels, width, height) = unsafe {
            (
                (f.heif_image_get_plane_readonly)(
                    image.object,
                    CHANNEL_INTERLEAVED,
                    &raw mut stride,
                ),
                (f.heif_image_get_width)(image.object, CHANNEL_INTERLEAVED),
                (f.heif_image_get_height)(image.object, CHANNEL_INTERLEAVED),
            )
        };
        let of = |number: c_int| u32::try_from(number).ok().filter(|n| *n > 0);
        let sizes = of(width).zip(of(height)).zip(of(stride));
        let channels = if has_alpha { 4 } else { 3 };
        let (Some(((width, height), stride)), Some(pixels)) =
            (sizes, NonNull::new(pixels.cast_mut()))
        else {
            return Err(Error::Damaged("it has no pixels".into()));
        };
        if stride / channels < width {
            return Err(Error::Damaged("its rows are too short".into()));
        }
        Ok(Picture {
            width,
            height,
            has_alpha,
            is_premultiplied,
            colours: self.colours(&handle),
            pixels,
            stride: stride as usize,
            _image: image,
        })
    }

    fn colours(&self, handle: &Owned) -> Option<(u32, u32)> {
        let mut profile: *mut Nclx = ptr::null_mut();
        let get = self.functions.heif_image_handle_get_nclx_color_profile;
        // SAFETY: the handle is valid.
        let status = unsafe { get(handle.object, &raw mut profile) };
        if status.code != 0 || profile.is_null() {
            return None;
        }
        // SAFETY: libheif has filled it, with these fields at its beginning.
        let (primaries, transfer) = unsafe { ((*profile).primaries, (*profile).transfer) };
        // SAFETY: it is released once.
        unsafe { (self.functions.heif_nclx_color_profile_free)(profile) };
        Some((primaries.try_into().ok()?, transfer.try_into().ok()?))
    }
}

fn check(status: Status) -> Result<(), Error> {
    if status.code == 0 {
        return Ok(());
    }
    let message = match status.message.is_null() {
        true => String::new(),
        // SAFETY: libheif's messages are texts that end with a zero and live as long as the context.
        false => unsafe { CStr::from_ptr(status.message) }
            .to_string_lossy()
            .trim()
            .to_owned(),
    };
    Err(match status.code {
        UNSUPPORTED_FILETYPE | UNSUPPORTED_FEATURE => Error::Unsupported(message),
        _ => Error::Damaged(message),
    })
}
