//! The causes, and what each means for scripts and people.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The causes that are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FailureKind {
    /// A defect of lipflow itself.
    Internal,
    /// The arguments don't fit together.
    Usage,
    /// There is no such file.
    InputMissing,
    /// The file can't be opened or read.
    InputUnreadable,
    /// A folder was given where a file is expected.
    InputIsFolder,
    /// The file has no bytes.
    InputEmpty,
    /// Neither a video nor a picture nor sound.
    NotMedia,
    /// Cut in the middle, or broken inside.
    InputDamaged,
    /// A container's header without content.
    HeaderOnly,
    /// What is to speak has no sound.
    NoSoundTrack,
    /// What is to show a face has no picture.
    NoPicture,
    /// No face was found in the whole video.
    NoFace,
    /// Of several speeches one has no face that says it.
    NoSpeaker,
    /// More pixels, frames, streams or time than is read.
    InputTooLarge,
    /// Whole, but of a format that nothing here decodes.
    FormatUnsupported,
    /// Some players show or sound it wrong.
    MediaOdd,
    /// There is no model of this name, or its weights are not there.
    ModelMissing,
    /// The model's file is no ONNX, or the network can't be loaded.
    ModelCorrupt,
    /// The network's inputs or outputs are not those that are needed.
    ModelShape,
    /// ONNX Runtime was not found.
    LibraryMissing,
    /// The execution provider can't be used on this machine.
    Provider,
    /// What was learnt of a face can not be kept or read.
    FaceFile,
    /// The folder of the output does not exist.
    OutputFolderMissing,
    /// The folder of the output can't be written to, or its file system lacks what is needed.
    OutputFolderReadOnly,
    /// No room is left, by the disk, a quota or a limit to the size of files.
    DiskFull,
    /// Room there is, but not for this user.
    QuotaUsedUp,
    /// Larger than its file system or `ulimit -f` allows.
    OutputTooLarge,
    /// The output would replace one of the inputs.
    OutputIsInput,
    /// There is a file of the output's name that may not be replaced.
    OutputExists,
    /// The finished file did not pass the check.
    OutputWrong,
    /// A file of this kind has no place for what it is to carry.
    CantCarry,
    /// Nothing in the file says that it is synthetic, or not what was noted of it.
    NotMarked,
    /// The template can't be read, or GStreamer refuses it.
    TemplateInvalid,
    /// An element that is needed is not installed.
    PluginMissing,
    /// Nothing moved within the limit.
    Stuck,
    /// The worker process died.
    WorkerDied,
    /// The journal of a batch can not be read or written.
    JournalUnusable,
    /// A destination of a broadcast can not be reached.
    DestinationFailed,
    /// Ended by SIGINT.
    Interrupted,
    /// Ended by another signal.
    Terminated,
}

impl FailureKind {
    /// Each of them once, in the order of their exit codes.
    pub const ALL: [Self; 40] = [
        Self::Internal,
        Self::Usage,
        Self::InputMissing,
        Self::InputUnreadable,
        Self::InputIsFolder,
        Self::InputEmpty,
        Self::NotMedia,
        Self::InputDamaged,
        Self::HeaderOnly,
        Self::NoSoundTrack,
        Self::NoPicture,
        Self::NoFace,
        Self::ModelMissing,
        Self::ModelCorrupt,
        Self::ModelShape,
        Self::LibraryMissing,
        Self::Provider,
        Self::FaceFile,
        Self::InputTooLarge,
        Self::FormatUnsupported,
        Self::MediaOdd,
        Self::NoSpeaker,
        Self::OutputFolderMissing,
        Self::OutputFolderReadOnly,
        Self::DiskFull,
        Self::OutputIsInput,
        Self::OutputExists,
        Self::OutputWrong,
        Self::QuotaUsedUp,
        Self::OutputTooLarge,
        Self::CantCarry,
        Self::NotMarked,
        Self::TemplateInvalid,
        Self::PluginMissing,
        Self::Stuck,
        Self::WorkerDied,
        Self::JournalUnusable,
        Self::DestinationFailed,
        Self::Interrupted,
        Self::Terminated,
    ];

    /// Whether a file could not get as large as it wanted to.
    pub const fn is_lack_of_room(self) -> bool {
        matches!(
            self,
            Self::DiskFull | Self::QuotaUsedUp | Self::OutputTooLarge
        )
    }

    /// The exit code of a process whose job failed with this kind.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Internal => 1,
            Self::Usage => 2,
            Self::InputMissing => 10,
            Self::InputUnreadable => 11,
            Self::InputIsFolder => 12,
            Self::InputEmpty => 13,
            Self::NotMedia => 14,
            Self::InputDamaged => 15,
            Self::HeaderOnly => 16,
            Self::NoSoundTrack => 17,
            Self::NoPicture => 18,
            Self::NoFace => 19,
            Self::NoSpeaker => 29,
            Self::InputTooLarge => 26,
            Self::FormatUnsupported => 27,
            Self::MediaOdd => 28,
            Self::ModelMissing => 20,
            Self::ModelCorrupt => 21,
            Self::ModelShape => 22,
            Self::LibraryMissing => 23,
            Self::Provider => 24,
            Self::FaceFile => 25,
            Self::OutputFolderMissing => 30,
            Self::OutputFolderReadOnly => 31,
            Self::DiskFull => 32,
            Self::QuotaUsedUp => 36,
            Self::OutputTooLarge => 37,
            Self::CantCarry => 38,
            Self::NotMarked => 39,
            Self::OutputIsInput => 33,
            Self::OutputExists => 34,
            Self::OutputWrong => 35,
            Self::TemplateInvalid => 40,
            Self::PluginMissing => 41,
            Self::Stuck => 50,
            Self::WorkerDied => 51,
            Self::JournalUnusable => 52,
            Self::DestinationFailed => 60,
            // As a shell reports a process that died of the signal.
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }

    /// What is wrong, as the end of a sentence that begins with the file.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Internal => "something went wrong inside lipflow",
            Self::Usage => "the arguments don't fit together",
            Self::InputMissing => "there is no such file",
            Self::InputUnreadable => "the file can't be read",
            Self::InputIsFolder => "this is a folder, not a file",
            Self::InputEmpty => "the file is empty",
            Self::NotMedia => "this is not a video, picture or sound file",
            Self::InputDamaged => "the file is damaged",
            Self::HeaderOnly => "the file has a header but no content",
            Self::NoSoundTrack => "the file has no sound track",
            Self::NoPicture => "the file has no picture",
            Self::NoFace => "no face was found in the whole video",
            Self::NoSpeaker => "no face says this speech",
            Self::InputTooLarge => "there is more in the file than is read",
            Self::MediaOdd => "some players will not play this file as it is meant",
            Self::FormatUnsupported => "nothing that is installed reads this format",
            Self::ModelMissing => "there is no such model",
            Self::ModelCorrupt => "the model can't be loaded",
            Self::ModelShape => "the model's inputs or outputs have the wrong shape",
            Self::LibraryMissing => "ONNX Runtime was not found",
            Self::Provider => "the execution provider can't be used",
            Self::FaceFile => "what was learnt of the face can't be kept or read",
            Self::OutputFolderMissing => "the output's folder does not exist",
            Self::OutputFolderReadOnly => "the output's folder can't be written to",
            Self::DiskFull => "the disk is full",
            Self::QuotaUsedUp => "the quota of the disk is used up",
            Self::OutputTooLarge => "the file is larger than its file system or `ulimit -f` allows",
            Self::OutputIsInput => "the output is one of the inputs",
            Self::OutputExists => "the output exists already",
            Self::OutputWrong => "the finished file did not pass the check",
            Self::CantCarry => "the file can't carry the metadata that is asked for",
            Self::NotMarked => "the file does not say that it is synthetic",
            Self::TemplateInvalid => "the template can't be used",
            Self::PluginMissing => "a GStreamer plugin is not installed",
            Self::Stuck => "the pipeline stopped moving",
            Self::WorkerDied => "the process that worked on it died",
            Self::JournalUnusable => "the journal of the batch can't be used",
            Self::DestinationFailed => "a destination can't be reached",
            Self::Interrupted => "interrupted",
            Self::Terminated => "terminated",
        }
    }

    /// What to do about it, as a sentence.
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::Internal => "Please report it, with the output of `lipflow doctor`",
            Self::Usage => "See `lipflow run --help`",
            Self::InputMissing => "Check the path",
            Self::InputUnreadable => "Check the file's permissions",
            Self::InputIsFolder => "Name a file in it",
            Self::InputEmpty => "Copy or record it again",
            Self::NotMedia => "Check that it is what its name says, e.g. with `file`",
            Self::InputDamaged => "Copy or download it again, or repair it with ffmpeg",
            Self::HeaderOnly => "Copy or record it again",
            Self::NoSoundTrack => "Choose a file that has speech in it",
            Self::NoPicture => "Choose a video or a picture of a face",
            Self::InputTooLarge => {
                "Make it smaller, or allow more with --set max-pixels=, max-frames=, max-duration= or max-streams="
            }
            Self::MediaOdd => "See what `lipflow verify` says of it",
            Self::FormatUnsupported => "Convert it to PNG, JPEG, MP4 or WAV",
            Self::NoFace => "Choose a video in which a face looks at the camera",
            Self::NoSpeaker => "Give it to a face that is in the picture; `--dry-run` counts them",
            Self::ModelMissing => "Check the path, or see `lipflow model list`",
            Self::ModelCorrupt => "Copy or download it again; `lipflow model check` says more",
            Self::ModelShape => "See what `lipflow model check` finds and expects",
            Self::LibraryMissing => {
                "Run `cargo xtask setup`; `lipflow doctor` says where was looked"
            }
            Self::Provider => "Choose another, or `auto`",
            Self::FaceFile => "Make room, or name a folder that can be written to in LIPFLOW_FACES",
            Self::OutputFolderMissing => "Make the folder first",
            Self::OutputFolderReadOnly => "Choose another folder, or change its permissions",
            Self::DiskFull => "Make room, or choose another disk",
            Self::QuotaUsedUp => "Remove files of yours, ask for more, or choose another disk",
            Self::OutputTooLarge => "Raise the limit, or choose another disk",
            Self::OutputIsInput => "Choose another name for the output",
            Self::OutputExists => "Choose another name, or give --overwrite or --skip-existing",
            Self::OutputWrong => "Run it again; if it stays, please report it",
            Self::CantCarry => "Write an MP4, MOV, Matroska or WebM file",
            Self::NotMarked => "Make it again with --label and --aigc-producer",
            Self::TemplateInvalid => "See what `lipflow pipeline check` says of it",
            Self::PluginMissing => {
                "Install the package; `lipflow doctor` lists all that is missing"
            }
            Self::Stuck => {
                "Run it again with GST_DEBUG=3 and GST_DEBUG_DUMP_DOT_DIR set, and report it"
            }
            Self::WorkerDied => {
                "Try another version of the file; `lipflow retry` tries it again as it is"
            }
            Self::DestinationFailed => {
                "Check the address and the stream's key, and that the server runs"
            }
            Self::JournalUnusable => "Check the folder's permissions and its disk, or give --state",
            Self::Interrupted | Self::Terminated => "Start it again; nothing was left behind",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_kind_has_its_own_exit_code() {
        let codes: HashSet<_> = FailureKind::ALL.iter().map(|k| k.exit_code()).collect();
        assert_eq!(codes.len(), FailureKind::ALL.len());
        assert!(!codes.contains(&0));
    }
}
