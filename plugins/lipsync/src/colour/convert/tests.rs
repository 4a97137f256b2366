use super::super::{Light, Primaries, Transfer};
use super::*;

const BT601: (f32, f32) = (0.299, 0.114);
const BT709: (f32, f32) = (0.2126, 0.0722);
const BT2020: (f32, f32) = (0.2627, 0.0593);

fn meaning((kr, kb): (f32, f32), full_range: bool, bits: u32, light: Light) -> Meaning {
    let coding = Coding {
        kr,
        kb,
        full_range,
        bits,
    };
    Meaning { coding, light }
}

const SDR: Light = Light {
    transfer: Transfer::Standard,
    primaries: Primaries::BT709,
};

fn hdr(transfer: Transfer) -> Light {
    Light {
        transfer,
        primaries: Primaries::BT2020,
    }
}

fn bytes(numbers: &[u16], bits: u32) -> Vec<u8> {
    match bits {
        8 => numbers.iter().map(|n| *n as u8).collect(),
        _ => numbers.iter().flat_map(|n| n.to_le_bytes()).collect(),
    }
}

/// What becomes of a picture of 4 by 2 pixels of one colour, in 4:2:0; the middle of the dithered.
fn converted(from: Meaning, to: Meaning, colour: [u16; 3]) -> [f32; 3] {
    let size = Size {
        width: 4,
        height: 2,
        sub_x: 1,
        sub_y: 1,
    };
    let wide = |bits: u32| if bits == 8 { 1 } else { 2 };
    let counts = [(4, 2), (2, 1), (2, 1)];
    let planes: Vec<Vec<u8>> = counts
        .iter()
        .zip(colour)
        .map(|((w, h), v)| bytes(&vec![v; w * h], from.coding.bits))
        .collect();
    let mut out = counts.map(|(w, h)| vec![0; w * h * wide(to.coding.bits)]);
    let source = |i: usize| Source {
        bytes: &planes[i],
        stride: counts[i].0 * wide(from.coding.bits),
    };
    let [a, b, c] = &mut out;
    let target = |bytes, i: usize| Target {
        bytes,
        stride: counts[i].0 * wide(to.coding.bits),
    };
    Converter::new(from, to).unwrap().run(
        size,
        [source(0), source(1), source(2)],
        [target(a, 0), target(b, 1), target(c, 2)],
    );
    out.map(|plane| {
        let samples: Vec<f32> = match to.coding.bits {
            8 => plane.iter().map(|v| f32::from(*v)).collect(),
            _ => plane
                .chunks_exact(2)
                .map(|v| f32::from(u16::from_le_bytes([v[0], v[1]])))
                .collect(),
        };
        samples.iter().sum::<f32>() / samples.len() as f32
    })
}

#[track_caller]
fn assert_near(got: [f32; 3], want: [u16; 3], off: f32) {
    for (a, b) in got.into_iter().zip(want) {
        assert!((a - f32::from(b)).abs() <= off, "{got:?} is not {want:?}");
    }
}

/// ffmpeg 5.1: `-f rawvideo -pix_fmt yuv444p10le -vf setparams=color_primaries=bt2020:color_trc=TRC:
/// colorspace=bt2020nc:range=tv,zscale=t=linear:npl=203,format=gbrpf32le,zscale=p=bt709,tonemap=mobius:
/// param=0.3:peak=4.926108:desat=0,zscale=t=bt709:m=bt709:r=tv,format=yuv444p`, `agamma=0` in each zscale.
#[test]
fn high_dynamic_range_comes_out_as_by_ffmpeg() {
    let to = meaning(BT709, false, 8, SDR);
    let hlg = meaning(BT2020, false, 10, hdr(Transfer::Hlg));
    for (from, want) in [
        ([64, 512, 512], [16, 128, 128]),
        ([200, 512, 512], [54, 128, 128]),
        ([330, 512, 512], [91, 128, 128]),
        ([502, 512, 512], [139, 128, 128]),
        ([721, 512, 512], [202, 128, 128]),
        ([940, 512, 512], [235, 128, 128]),
        ([400, 450, 600], [107, 112, 161]),
        ([600, 440, 600], [140, 110, 174]),
        ([600, 400, 640], [125, 104, 191]),
        ([300, 560, 480], [81, 141, 112]),
        ([650, 500, 530], [176, 123, 140]),
    ] {
        assert_near(converted(hlg, to, from), want, 1.2);
    }
    let pq = meaning(BT2020, false, 10, hdr(Transfer::Pq { peak: 1000.0 }));
    for (from, want) in [
        ([64, 512, 512], [16, 128, 128]),
        ([200, 512, 512], [41, 128, 128]),
        ([330, 512, 512], [80, 128, 128]),
        ([502, 512, 512], [170, 128, 128]),
        ([300, 560, 480], [64, 152, 97]),
        ([500, 480, 560], [135, 110, 178]),
        ([650, 500, 530], [193, 118, 153]),
    ] {
        assert_near(converted(pq, to, from), want, 1.2);
    }
}

#[test]
fn the_road_of_tables_is_the_way_of_the_formulas() {
    let to = meaning(BT709, false, 10, SDR);
    let mut state = 7u32;
    let mut random = |least: u16, most: u16| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        least + (state >> 8) as u16 % (most - least)
    };
    for transfer in [Transfer::Hlg, Transfer::Pq { peak: 1000.0 }] {
        let from = meaning(BT2020, false, 10, hdr(transfer));
        let conversion = Conversion::between(from.light, to.light).unwrap();
        let mut count = 0;
        for _ in 0..3000 {
            let colour = [random(100, 800), random(400, 620), random(400, 620)];
            let rgb = from.coding.decode(colour.map(f32::from));
            if rgb.iter().any(|v| !(0.02..1.0).contains(v)) {
                continue;
            }
            let exact = to
                .coding
                .encode(conversion.go(rgb))
                .map(|v| v.clamp(0.0, 1023.0));
            let got = converted(from, to, colour);
            count += 1;
            for (a, b) in got.into_iter().zip(exact) {
                assert!((a - b).abs() < 1.5, "{colour:?}: {got:?}, exact {exact:?}");
            }
        }
        assert!(count > 500, "{count}");
    }
}

/// Of BT.601 to BT.709 and of full to limited range: `zscale=min=170m:m=709` and `zscale=rin=full:r=limited`.
#[test]
fn matrix_and_range_change_without_the_light() {
    let limited = meaning(BT709, false, 8, SDR);
    let full = meaning(BT709, true, 8, SDR);
    for (from, want) in [
        ([0, 128, 128], [16, 128, 128]),
        ([32, 128, 128], [43, 128, 128]),
        ([255, 128, 128], [235, 128, 128]),
        ([100, 20, 220], [102, 33, 209]),
    ] {
        assert_near(converted(full, limited, from), want, 0.6);
        assert_near(converted(limited, full, want), from, 1.0);
    }
    // Red, green and skin, of the formulas in both standards.
    let old = meaning(BT601, false, 8, SDR);
    for rgb in [[0.8, 0.1, 0.1], [0.1, 0.7, 0.2], [0.8, 0.6, 0.5]] {
        let round = |m: Meaning| m.coding.encode(rgb).map(|v| v.round() as u16);
        assert_near(converted(old, limited, round(old)), round(limited), 1.1);
    }
    // Two bits fewer: the mean of dithered samples is what they were.
    let deep = meaning(BT709, false, 10, SDR);
    let got = converted(deep, limited, [501, 513, 514]);
    assert!((got[0] - 125.25).abs() < 0.01, "{got:?}");
    assert!(Converter::new(deep, deep).is_none());
}
