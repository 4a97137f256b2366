//! Frames per second of a network by itself, to hold a pipeline against: `cargo xtask bench` runs it.
//!
//! usage: bare_model MODEL.onnx BATCH THREADS SECONDS

use std::path::Path;
use std::time::{Duration, Instant};

use gstlipsync::runtime::{self, Options, Provider};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [model, batch, threads, seconds] = arguments.as_slice() else {
        return Err("usage: bare_model MODEL.onnx BATCH THREADS SECONDS".into());
    };
    let batch: usize = batch.parse()?;
    let limit = Duration::from_secs_f64(seconds.parse()?);
    let options = Options {
        provider: Provider::Cpu,
        threads: threads.parse()?,
        ..Options::default()
    };
    let session = runtime::load(Path::new(model), options)?;

    // Free dimensions are the batch. The values are of no account, but must not be all zero.
    let shapes: Vec<Vec<usize>> = session
        .inputs
        .iter()
        .map(|input| {
            let size = |&d| usize::try_from(d).unwrap_or(batch);
            input.shape.iter().map(size).collect()
        })
        .collect();
    let values: Vec<Vec<f32>> = shapes
        .iter()
        .map(|shape| {
            let count: usize = shape.iter().product();
            (0..count).map(|i| (i % 97) as f32 / 97.0).collect()
        })
        .collect();
    let inputs: Vec<_> = session
        .inputs
        .iter()
        .zip(shapes.iter().zip(&values))
        .map(|(input, (shape, values))| (&*input.name, &**shape, &**values))
        .collect();

    // The first run also allocates.
    session.run(&inputs, None, |_| ())?;
    let started = Instant::now();
    let mut frames = 0;
    while started.elapsed() < limit {
        session.run(&inputs, None, |_| ())?;
        frames += batch;
    }
    println!("{:.3}", frames as f64 / started.elapsed().as_secs_f64());
    Ok(())
}
