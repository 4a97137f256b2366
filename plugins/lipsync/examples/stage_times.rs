//! Plays a pipeline to its end and prints what the elements' `stats` say: `cargo xtask bench` runs it.
//!
//! usage: stage_times PIPELINE
//!
//! Prints one line for each figure: the element's name, the figure's name, its value.

use gst::prelude::*;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let description = std::env::args()
        .nth(1)
        .ok_or("usage: stage_times PIPELINE")?;
    gst::init()?;
    gstlipsync::plugin_register_static()?;
    let pipeline = gst::parse::launch(&description)?
        .downcast::<gst::Pipeline>()
        .map_err(|_| "that is not a pipeline")?;
    pipeline.set_state(gst::State::Playing)?;
    let result = wait(&pipeline);
    // In PLAYING still: some elements reset their figures when they stop.
    for element in pipeline.iterate_recurse().into_iter().flatten() {
        if element.find_property("stats").is_none() {
            continue;
        }
        if let Ok(stats) = element.property_value("stats").get::<gst::Structure>() {
            for (figure, value) in stats.iter() {
                if let Ok(value) = value.get::<u64>() {
                    println!("{} {figure} {value}", element.name());
                }
            }
        }
    }
    pipeline.set_state(gst::State::Null)?;
    result
}

fn wait(pipeline: &gst::Pipeline) -> Result<(), Box<dyn std::error::Error>> {
    let bus = pipeline.bus().ok_or("the pipeline has no bus")?;
    for message in bus.iter_timed(gst::ClockTime::NONE) {
        match message.view() {
            gst::MessageView::Eos(_) => return Ok(()),
            gst::MessageView::Error(error) => return Err(error.error().to_string().into()),
            _ => (),
        }
    }
    Err("the bus fell silent".into())
}
