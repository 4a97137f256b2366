use super::*;

fn parse(text: &str) -> Result<Template, TemplateError> {
    gst::init().unwrap();
    Template::parse("test", "test.launch", text)
}

/// Text that is likely to break a quoting, from a fixed seed.
struct Texts(u64);

impl Iterator for Texts {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        const PIECES: [&str; 30] = [
            "\"", "'", "\\", " ", "!", "\n", "\t", "\r", "\u{1}", "\u{7f}", "\u{85}", "=", ";",
            ":", ",", "(", ")", ".", "#", "$", "${x}", "{", "NULL", "a", "7", "\\012", "é", "张",
            "🎤", "-",
        ];
        let mut next = || {
            // xorshift
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0 as usize
        };
        let length = next() % 9;
        Some((0..length).map(|_| PIECES[next() % PIECES.len()]).collect())
    }
}

#[test]
fn any_text_is_read_back_as_it_was() {
    let template =
        parse("#! param x: string -- x\nfilesrc name=s location=${x} ! fakesink name=t").unwrap();
    let mut tried = 0;
    for text in Texts(0x9e37_79b9_7f4a_7c15).take(4000) {
        let pipeline = template
            .build(&Values::new().set("x", &text))
            .unwrap_or_else(|e| panic!("{text:?}: {e}"));
        assert_eq!(pipeline.children().len(), 2, "{text:?}");
        let location = pipeline
            .by_name("s")
            .unwrap()
            .property::<Option<String>>("location");
        assert_eq!(location.unwrap_or_default(), text);
        tried += 1;
    }
    assert_eq!(tried, 4000);
}

/// What gst-launch does with its arguments before it parses them.
fn as_gst_launch_reads(command: &str) -> gst::Element {
    let arguments = command.strip_prefix("gst-launch-1.0 -e ").unwrap();
    let out = std::process::Command::new("sh")
        .arg("-c")
        .arg(format!("printf '%s\\0' {arguments}"))
        .output()
        .unwrap();
    assert!(out.stderr.is_empty(), "{command:?}");
    let arguments = String::from_utf8(out.stdout).unwrap();
    let arguments: Vec<&str> = arguments.split_terminator('\0').collect();
    gst::parse::launchv(&arguments).unwrap_or_else(|e| panic!("{command:?}: {e}"))
}

#[test]
fn gst_launch_reads_any_text_back_as_it_was() {
    let template = parse(
        "#! param x: string -- x\nfilesrc name=s location = ${x} ! video/x-raw, width=3 ! fakesink",
    )
    .unwrap();
    for text in Texts(0x1234_5678_9abc_def1).take(300) {
        let command = template.command(&Values::new().set("x", &text)).unwrap();
        let pipeline = as_gst_launch_reads(&command)
            .downcast::<gst::Pipeline>()
            .unwrap();
        assert_eq!(pipeline.children().len(), 3, "{text:?}");
        let location = pipeline
            .by_name("s")
            .unwrap()
            .property::<Option<String>>("location");
        assert_eq!(location.unwrap_or_default(), text, "{command}");
    }
}

#[test]
fn a_file_named_like_a_pipeline_is_a_file() {
    let template = parse("#! param f: path -- f\nfilesrc location=${f} ! fakesink").unwrap();
    let name = "a ! filesrc location=b.mp4";
    let rendered = template.render(&Values::new().set("f", name)).unwrap();
    assert_eq!(
        rendered,
        r"filesrc location=a\ \!\ filesrc\ location=b.mp4 ! fakesink"
    );
    let pipeline = template.build(&Values::new().set("f", name)).unwrap();
    assert_eq!(pipeline.children().len(), 2);
}

#[test]
fn holes_that_could_become_syntax_are_refused_when_loaded() {
    let text = "#! param x: string -- x\n";
    for (body, column) in [
        ("filesrc location=\"${x}\" ! fakesink", 19),
        ("filesrc location=/tmp/${x} ! fakesink", 23),
        ("filesrc location=${x}.mp4 ! fakesink", 18),
        ("${x} ! fakesink", 1),
        ("fakesrc ! video/x-raw,format=${x} ! fakesink", 30),
        ("fakesrc ! video/x-raw, format=${x} ! fakesink", 31),
        ("fakesrc ${x}=3 ! fakesink", 9),
        ("fakesrc ! t.${x}", 13),
    ] {
        match parse(&format!("{text}{body}")) {
            Err(TemplateError::Malformed { place, reason }) => {
                assert_eq!((place.line, place.column), (2, column), "{body}");
                assert!(reason.contains("`x` can hold any text"), "{reason}");
            }
            other => panic!("{body}: {other:?}"),
        }
    }
}

#[test]
fn text_never_becomes_an_element_through_a_property() {
    let template = parse("#! param x: string -- x\nplaybin\nvideo-sink=${x}").unwrap();
    let error = template
        .build(&Values::new().set("x", "fakesink"))
        .unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("test.launch:3:1: property `video-sink` of `playbin` takes a pipeline"),
        "{error}"
    );
}

#[test]
fn numbers_stand_anywhere_and_text_that_is_left_out_goes_with_its_property() {
    let template = parse(
        "#! title: A title\n\
         #! about: One\n\
         #! about: two.\n\
         #! param w: int(1..) = 320 -- \"Width\"\n\
         #! param sink: choice(fakesink|filesink) = fakesink -- \"Sink\"\n\
         #! param n: int? -- \"Buffers\"\n\
         #! param at: time = 1.5s -- \"When\"\n\
         videotestsrc num-buffers=${n} timestamp-offset=${at}\n\
         ! video/x-raw, width=${w} # the size\n\
         ! ${sink} name=\"s${w}\"",
    )
    .unwrap();
    assert_eq!(
        (template.title(), template.about()),
        ("A title", "One two.")
    );
    assert_eq!(
        template.render(&Values::new()).unwrap(),
        "videotestsrc timestamp-offset=1500000000 ! video/x-raw, width=320 ! fakesink name=\"s320\""
    );
    let values = Values::new().set("n", "4").set("w", "640");
    let pipeline = template.build(&values).unwrap();
    assert!(pipeline.by_name("s640").is_some());
    let command = template.command(&values).unwrap();
    assert_eq!(
        command,
        "gst-launch-1.0 -e videotestsrc num-buffers=4 timestamp-offset=1500000000 '!' \
         video/x-raw, width=640 '!' fakesink 'name=\"s640\"'"
    );
}

#[test]
fn a_command_shows_what_is_still_to_be_given() {
    let template = parse(
        "#! param face: uri -- f\n#! param out: path -- o\n\
         uridecodebin uri=${face} ! filesink location=${out}",
    )
    .unwrap();
    let values = Values::new();
    assert_eq!(
        template.command(&values).unwrap(),
        "gst-launch-1.0 -e uridecodebin uri=file:///PATH/TO/FACE '!' filesink location=OUT"
    );
    let missing: Vec<_> = template.missing(&values).map(|p| &p.name).collect();
    assert_eq!(missing, ["face", "out"]);
    assert!(matches!(
        template.build(&values),
        Err(TemplateError::MissingValue { name, .. }) if name == "face"
    ));
}

#[test]
fn wrong_values_name_the_parameters() {
    let template =
        parse("#! param n: int(0..9) = 1 -- n\nfakesrc num-buffers=${n} ! fakesink").unwrap();
    let message = |name: &str, value: &str| {
        template
            .render(&Values::new().set(name, value))
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        message("m", "1"),
        "template `test` has no parameter `m`. It has n"
    );
    assert_eq!(
        message("n", "1 ! filesink location=x"),
        "`1 ! filesink location=x` doesn't fit parameter `n` of template `test`: a whole number \
         from 0 to 9 is expected"
    );
}

#[test]
fn faults_in_the_text_have_line_and_column() {
    for (text, expected) in [
        (
            "#! param\nfakesrc",
            "test.launch:1:1: a parameter is declared as",
        ),
        (
            "#! color: red\nfakesrc",
            "test.launch:1:1: after `#!` stands",
        ),
        (
            "fakesrc !\n\n fakesink p=${q}",
            "test.launch:3:13: `q` is not declared",
        ),
        (
            "fakesrc p=${} ! fakesink",
            "test.launch:1:11: a hole is written",
        ),
        (
            "#! param x: int = 1 -- x\nfakesrc",
            "test.launch:1:1: parameter `x` is declared but never used",
        ),
        (
            "fakesrc\n! # x\n! fakesink",
            "test.launch:3:1: `!` has no element before it",
        ),
    ] {
        let error = parse(text).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn faults_in_the_pipeline_have_line_and_column() {
    for (text, expected) in [
        (
            "fakesrc\n  ! nosuchelement\n! fakesink",
            "test.launch:2:5: there is no element `nosuchelement`",
        ),
        (
            "fakesrc ! queue\n max-size-bufers=3 ! fakesink",
            "test.launch:2:2: `queue` has no property `max-size-bufers`. Did you mean \
             `max-size-buffers`?",
        ),
        (
            "fakesrc\n num-buffers=-3 ! fakesink",
            "test.launch:2:2: property `num-buffers` of `fakesrc` can't be `-3`: a number from -1 \
             to 2147483647 is expected",
        ),
        (
            "videotestsrc pattern=snoww ! fakesink",
            "test.launch:1:14: property `pattern` of `videotestsrc` can't be `snoww`: one of smpte,",
        ),
        (
            "fakesrc ! queue current-level-time=3 ! fakesink",
            "test.launch:1:17: property `current-level-time` of `queue` can't be set",
        ),
        (
            "fakesrc !\nx. fakesrc ! fakesink name=y",
            "test.launch:2:1: no element here has the name `x`",
        ),
        (
            "fakesrc ! identity\n! videotestsrc ! fakesink",
            "test.launch:1:11: could not link identity",
        ),
        (
            "videotestsrc ! video/x-raw,,width=(int)x ! fakesink",
            "test.launch:1:14: `video/x-raw,,width=(int)x` can't be read as caps",
        ),
    ] {
        let error = parse(text)
            .unwrap()
            .build(&Values::new())
            .expect_err(text)
            .to_string();
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn one_element_is_a_pipeline_too() {
    let pipeline = parse("fakesrc").unwrap().build(&Values::new()).unwrap();
    assert_eq!(pipeline.children().len(), 1);
}

#[test]
fn a_file_is_a_template_wherever_a_name_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine");
    std::fs::write(&path, "fakesrc ! fakesink").unwrap();
    let template = Template::load(path.to_str().unwrap()).unwrap();
    assert_eq!(template.name(), "mine");
    assert!(matches!(
        Template::load("mine.launch"),
        Err(TemplateError::Unreadable { .. })
    ));
    assert!(matches!(
        Template::load("mine"),
        Err(TemplateError::Unknown { .. })
    ));
}

#[test]
fn every_builtin_template_loads() {
    let names: Vec<_> = Template::builtin().map(Template::name).collect();
    assert_eq!(names, BUILTIN.map(|(name, _)| name));
    for template in Template::builtin() {
        assert!(!template.title().is_empty() && !template.about().is_empty());
        assert!(template.params().iter().all(|p| !p.help.is_empty()));
    }
}

const SPEAKERS: &str = "#! title: t\n#! param speech: uri* -- \"s\"\n#! param volume: float(0..1)* = 1 -- \"v\"\n\
    audiomixer name=mix\n\
    #! each speaker\n\
    uridecodebin uri=${speech} # said\n\
      ! volume volume=${volume} ! mix.sink_${speaker}\n\
    #! end\n\
    mix. ! fakesink\n";

#[test]
fn what_is_said_for_each_speaker_is_written_out_for_all() {
    let template = Template::parse("t", "t.launch", SPEAKERS).unwrap();
    assert!(template.is_for_speakers());
    let three = template.for_speakers(3).unwrap();
    let names: Vec<_> = three.params().iter().map(|p| p.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "speech-0", "speech-1", "speech-2", "volume-0", "volume-1", "volume-2"
        ]
    );
    let values = ["a", "b", "c"]
        .iter()
        .enumerate()
        .fold(Values::new().set("volume-1", "0.5"), |values, (n, file)| {
            values.set(format!("speech-{n}"), format!("file:///{file}.wav"))
        });
    let text = three.render(&values).unwrap();
    for part in [
        "uridecodebin uri=file:///a.wav ! volume volume=1 ! mix.sink_0",
        "uridecodebin uri=file:///b.wav ! volume volume=0.5 ! mix.sink_1",
        "uridecodebin uri=file:///c.wav ! volume volume=1 ! mix.sink_2 mix. ! fakesink",
    ] {
        assert!(text.replace('"', "").contains(part), "{text}");
    }
    // What stands behind is told in its own line.
    let wrong = SPEAKERS.replace("mix. ! fakesink", "mix. ! ${none}");
    let error = Template::parse("t", "t.launch", &wrong).unwrap_err();
    assert!(error.to_string().starts_with("t.launch:9:8: "), "{error}");
}

#[test]
fn parts_for_each_speaker_are_whole_and_their_parameters_stay_in_them() {
    for (from, to, reason) in [
        ("#! end\n", "", "has no `#! end`"),
        ("#! each speaker\n", "", "no `#! each speaker` before"),
        (
            "mix. ! fakesink",
            "fakesink name=${speech}",
            "is each speaker's",
        ),
    ] {
        let error = Template::parse("t", "t.launch", &SPEAKERS.replace(from, to)).unwrap_err();
        assert!(error.to_string().contains(reason), "{error}");
    }
    let plain = Template::load("file").unwrap();
    assert!(!plain.is_for_speakers());
}
