//! The Postgres store beside what the reference does on the same server, and beside `COPY`.
//!
//! The server is started here, with commits that wait for the disk. The reference opens a connection for
//! every call, and sends the statements of an assignment one by one.

use std::io::Write as _;
use std::thread;
use std::time::Duration;

use ::postgres::{Client, NoTls};
use experiments::{
    AssignManyRequest, AssignRequest, ExperimentConfig, ExperimentState, ExperimentStore, Keep,
    PgExperimentStore, PgOptions, VariantConfig,
};

use crate::measure::{Report, Target, time};
use crate::server::{self, Server};

const MILLION: usize = 1_000_000;
/// Calls of a round, of all clients together.
const CALLS: usize = 320;

pub(crate) fn run(report: &Report) {
    let bulk = "postgres bulk, a million new actors, to COPY";
    if !server::is_there() {
        return report.skipped("postgres", "there are no server programs");
    }
    let repeats = [1, 16].map(|clients| {
        (
            clients,
            format!("postgres repeat assign, {clients} clients"),
        )
    });
    let firsts = [(
        16,
        "postgres first assign in a group, 16 clients".to_owned(),
    )];
    let all = repeats.iter().chain(&firsts);
    if !all.clone().any(|(_, figure)| report.wants(figure)) && !report.wants(bulk) {
        return;
    }
    let server = Server::start_with(true);
    for (clients, figure) in &repeats {
        let url = server.database();
        let store = store(&url);
        let mut actors = actors("user", 0);
        for actor in &actors {
            assign(&store, actor);
        }
        actors.truncate(CALLS);
        report.speeds(
            figure,
            5,
            Target::AtLeast(40.0),
            || together(*clients, &actors, |actor| assign(&store, actor)),
            || together(*clients, &actors, |actor| reference(&url, actor)),
        );
    }
    for (clients, figure) in &firsts {
        let url = server.database();
        let store = store(&url);
        let (mut ours, mut theirs) = (0, 0);
        report.speeds(
            figure,
            5,
            Target::AtLeast(60.0),
            || {
                ours += 1;
                let actors = actors("ours", ours);
                together(*clients, &actors, |actor| assign(&store, actor))
            },
            || {
                theirs += 1;
                let actors = actors("theirs", theirs);
                together(*clients, &actors, |actor| reference(&url, actor))
            },
        );
    }
    if report.wants(bulk) {
        bulk_beside_copy(report, bulk, &server);
    }
}

fn store(url: &str) -> PgExperimentStore {
    let options = PgOptions::parse(url).unwrap();
    let store = PgExperimentStore::open_or_create(options).unwrap();
    let variants = vec![
        VariantConfig::new("control", 1),
        VariantConfig::new("treatment", 1),
    ];
    for name in ["e", "sibling"] {
        let config = ExperimentConfig {
            state: ExperimentState::Running,
            ..ExperimentConfig::new(name, variants.clone()).exclusion_group("g")
        };
        store.insert(&config).unwrap();
    }
    store
}

fn actors(prefix: &str, round: usize) -> Vec<String> {
    (0..CALLS)
        .map(|n| format!("{prefix}:{round}:{n}"))
        .collect()
}

fn assign(store: &PgExperimentStore, actor: &str) {
    let request = AssignRequest {
        experiment: "e",
        actor,
        request_id: None,
        keep_exposure: false,
    };
    store.assign(&request).unwrap();
}

/// The actors shared out among so many threads.
fn together(clients: usize, actors: &[String], call: impl Fn(&str) + Sync) -> Duration {
    time(|| {
        thread::scope(|scope| {
            for share in actors.chunks(actors.len().div_ceil(clients)) {
                let call = &call;
                scope.spawn(move || share.iter().for_each(|actor| call(actor)));
            }
        });
    })
}

/// The reference's sequence: every step on a connection of its own.
fn reference(url: &str, actor: &str) {
    let connect = || Client::connect(url, NoTls).unwrap();
    let overridden = "SELECT variant FROM autumn_experiment_overrides \
                      WHERE experiment = 'e' AND actor = $1";
    let assigned = "SELECT variant FROM autumn_experiment_assignments \
                    WHERE experiment = 'e' AND actor = $1";
    let sibling = "SELECT EXISTS (SELECT 1 FROM autumn_experiment_assignments a \
                   JOIN autumn_experiments e ON e.name = a.experiment \
                   WHERE a.actor = $1 AND e.exclusion_group = 'g' AND a.experiment <> 'e')";
    // Its configuration comes from its cache.
    connect().query(overridden, &[&actor]).unwrap();
    if !connect().query(assigned, &[&actor]).unwrap().is_empty() {
        return;
    }
    connect().query(sibling, &[&actor]).unwrap();
    let mut client = connect();
    let mut transaction = client.transaction().unwrap();
    transaction
        .execute("SELECT pg_advisory_xact_lock(hashtext($1))", &[&actor])
        .unwrap();
    transaction
        .query(
            "SELECT exclusion_group FROM autumn_experiments WHERE name = 'e'",
            &[],
        )
        .unwrap();
    transaction.query(sibling, &[&actor]).unwrap();
    transaction
        .query(
            "INSERT INTO autumn_experiment_assignments (experiment, actor, variant, is_override) \
             VALUES ('e', $1, 'control', false) ON CONFLICT (experiment, actor) \
             DO UPDATE SET variant = autumn_experiment_assignments.variant RETURNING variant",
            &[&actor],
        )
        .unwrap();
    transaction.commit().unwrap();
}

fn bulk_beside_copy(report: &Report, figure: &str, server: &Server) {
    let actors: Vec<String> = (0..MILLION).map(|n| format!("user:{n:07}")).collect();
    let names: Vec<&str> = actors.iter().map(String::as_str).collect();
    let mut rows = String::new();
    for actor in &actors {
        rows.push_str("e\t");
        rows.push_str(actor);
        rows.push_str("\tcontrol\n");
    }
    report.times(
        figure,
        1,
        Target::AtMost(2.0),
        || {
            let store = store(&server.database());
            let request = AssignManyRequest {
                experiment: "e",
                actors: &names,
                keep: Keep::Assignments,
            };
            time(|| assert_eq!(store.assign_many(&request).unwrap().len(), MILLION))
        },
        || {
            let url = server.database();
            drop(store(&url));
            let mut client = Client::connect(&url, NoTls).unwrap();
            time(|| {
                let mut writer = client
                    .copy_in(
                        "COPY autumn_experiment_assignments (experiment, actor, variant) FROM STDIN",
                    )
                    .unwrap();
                writer.write_all(rows.as_bytes()).unwrap();
                assert_eq!(writer.finish().unwrap(), MILLION as u64);
            })
        },
    );
}
