#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lipflow_fuzz::targets::face_file(data));
