//! Streams of one instance share a session and its runs.

use super::*;
use crate::runtime::{Interrupt, Sharing};

fn of_instance(file: &str, name: &str, batch: usize) -> Generator {
    let options = Options {
        sharing: Sharing::instance(name),
        ..CPU
    };
    let model = Model::resolve(Some(&tiny(file))).unwrap();
    match model.open(options, Look::Stream, batch).unwrap() {
        Network::Generator(network) => network,
        Network::MouthShape(_) => panic!("not a generator"),
    }
}

#[test]
fn an_instance_has_one_session() {
    let [one, same, other] =
        ["an instance", "an instance", "another"].map(|n| of_instance("generator_8.onnx", n, 4));
    assert!(one.session().is_same(same.session()));
    assert!(!one.session().is_same(other.session()));
    // Each gives its frames as they come; the batch is that of all.
    assert_eq!(one.batch_size(), 1);
}

#[test]
fn a_network_is_shared_by_its_content_whatever_its_file_is_called() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    for name in ["one.onnx", "other.onnx"] {
        std::fs::copy(tiny("generator_8.onnx"), path(name)).unwrap();
    }
    let load = |name: &str| runtime::load(&path(name), Options::default()).unwrap();
    let [one, other] = ["one.onnx", "other.onnx"].map(load);
    assert!(one.is_same(&other));
    // Errors name the file that was asked for.
    assert_eq!(other.path, path("other.onnx"));
    std::fs::copy(tiny("generator_8_batch_1.onnx"), path("other.onnx")).unwrap();
    assert!(!one.is_same(&load("other.onnx")));
    assert!(one.is_same(&load("one.onnx")));
}

#[test]
fn a_fall_back_from_the_accelerator_is_told_once_for_each_network() {
    let auto = |threads| Options {
        provider: runtime::Provider::Auto,
        threads,
        ..Options::default()
    };
    let load = |name: &str, threads| runtime::load(&tiny(name), auto(threads)).unwrap();
    let first = load("generator_8_half.onnx", 1);
    let Some(reason) = first.fallback.clone() else {
        // It runs on the accelerator.
        return;
    };
    assert_eq!(first.untold_fallback(), Some(reason.as_str()));
    // Neither again nor for another session of it.
    assert_eq!(first.untold_fallback(), None);
    assert_eq!(load("generator_8_half.onnx", 2).untold_fallback(), None);
}

#[test]
fn each_stream_gets_its_own_faces_from_a_shared_run() {
    // One that takes any batch, and one that insists on single frames.
    for file in ["generator_8.onnx", "generator_8_batch_1.onnx"] {
        let threads = [0, 1, 2].map(|stream| {
            std::thread::spawn(move || {
                let speech = timeline(0, 16_000, 4096);
                let mut alone = generator(&tiny(file), 1);
                let mut shared = of_instance(file, "many streams", 3);
                for i in 0..20 {
                    let crop = crop(stream * 20 + i);
                    let [expected, found] = [&mut alone, &mut shared].map(|network| {
                        assert!(network.add(&speech, i as i64 * FRAME, &crop));
                        network.run(None).unwrap().next().unwrap().to_vec()
                    });
                    assert_close(&found, &expected);
                }
            })
        });
        for thread in threads {
            thread.join().unwrap();
        }
    }
}

#[test]
fn an_interrupted_stream_gets_no_faces_until_it_is_cleared() {
    let speech = timeline(0, 16_000, 4096);
    let mut network = of_instance("generator_8.onnx", "interrupted", 4);
    let stop = Interrupt::default();
    stop.raise();
    assert!(network.add(&speech, 0, &crop(1)));
    assert!(matches!(
        network.run(Some(&stop)).map(drop),
        Err(Error::Runtime(runtime::Error::Interrupted))
    ));
    network.clear();
    stop.clear();
    assert!(network.add(&speech, 0, &crop(1)));
    assert_eq!(network.run(Some(&stop)).unwrap().len(), 1);
}
