//! `facesource` on files that are made here: clips whose frames carry their number, pictures, and
//! everything that is no face.

mod failing;
mod limits;
mod pictures;
mod player;
mod playing;
mod turning;
