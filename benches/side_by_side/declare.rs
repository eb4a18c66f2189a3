//! Files of experiments: what the measuring of every pair costs, and that nothing grows faster than
//! the text.

use std::hint::black_box;

use experiments::declare::{SourceFile, check, check_independence};
use experiments::independence::IdSample;
use experiments::{ExperimentConfig, IdShape, VariantConfig};

use crate::measure::{Report, Target, time};

const EXPERIMENTS: usize = 200;

pub(crate) fn run(report: &Report) {
    let text: String = (0..EXPERIMENTS).map(experiment).collect();
    let sources = [SourceFile::new("experiments.toml", text)];
    let ours = || {
        time(|| {
            let checked = check(&sources, &[]);
            let samples = IdSample::SHAPES;
            black_box(check_independence(&checked.declarations, &[], &samples));
        })
    };
    let ids: Vec<String> = IdShape::ALL
        .iter()
        .flat_map(|shape| shape.ids(1 << 14))
        .collect();
    let hash_alone = || {
        time(|| {
            for n in 0..EXPERIMENTS {
                let variants = vec![VariantConfig::new("a", 1), VariantConfig::new("b", 1)];
                let allocation = ExperimentConfig::new(name(n), variants).allocation();
                for id in &ids {
                    black_box(allocation.variant(black_box(id)));
                }
            }
        })
    };
    report.times(
        "check 200 experiments, to hashing their ids",
        7,
        Target::AtMost(5.0),
        ours,
        hash_alone,
    );
    let half = 5_000;
    for (what, piece) in [
        (
            "check twice the text: experiments",
            experiment as fn(usize) -> String,
        ),
        ("check twice the text: one line", one_line),
        ("check twice the text: no TOML", |_| {
            "[[x]\n= \"\n".to_owned()
        }),
        ("check twice the text: one name", |_| experiment(1)),
    ] {
        let source = |count: usize| {
            let pieces: String = (0..count).map(piece).collect();
            let is_line = pieces.starts_with('{');
            let text = if is_line {
                format!("experiment = [{pieces}]")
            } else {
                pieces
            };
            [SourceFile::new("f.toml", text)]
        };
        let (twice, once) = (source(2 * half), source(half));
        let run = |sources: &[SourceFile]| {
            time(|| {
                black_box(check(sources, &[]));
            })
        };
        report.times(what, 7, Target::AtMost(2.5), || run(&twice), || run(&once));
    }
}

/// Words with a number between them, as a team's names are.
fn name(n: usize) -> String {
    const WORDS: [&str; 8] = [
        "checkout", "search", "banner", "price", "signup", "email", "hero", "cart",
    ];
    format!("{}_{n}_{}", WORDS[n % 8], WORDS[n / 8 % 8])
}

fn experiment(n: usize) -> String {
    format!(
        "[[experiment]]\nname = \"{}\"\nvariants = [{{ name = \"a\", weight = 1 }}, \
         {{ name = \"b\", weight = 1 }}]\n",
        name(n)
    )
}

fn one_line(n: usize) -> String {
    format!(
        "{{ name = \"{}\", variants = [{{ name = \"ä\", weigth = 1 }}] }}, ",
        name(n)
    )
}
