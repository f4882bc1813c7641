//! `coditect serve`.

use std::cell::Cell;
use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use tokio::runtime::Runtime;
use tokio::sync::watch;

use super::{cause, demo, load, runtime};
use crate::app::App;
use crate::cli::{Serve, Settings};
use crate::clock::Clock;
use crate::config::{DataDir, Loaded};
use crate::domain::error::{Error, Result};
use crate::entropy::Entropy;
use crate::services::accounts::FirstOperator;
use crate::services::{Ending, Restore};
use crate::store;
use crate::telemetry::{RecentLogs, init_logs};

/// Files that are open beside connections: the database, mails, backups, the program's own.
const FILES_OF_OUR_OWN: u64 = 64;

pub(super) fn run(args: &Serve, settings: &Settings) -> Result<ExitCode> {
    let mut loaded = load(args.flags(settings))?;
    if args.demo {
        demo::settings(&mut loaded);
    }
    let recent = RecentLogs::new(Clock::system());
    init_logs(loaded.config.log.format, &loaded.config.log.level, recent.clone())
        .map_err(Error::internal)?;
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    make_room_for(loaded.config.server.max_connections);
    let runtime = runtime()?;
    let stop = stop_signals(&runtime)?;
    let mut tried: Option<Tried> = None;
    loop {
        let serving = Cell::new(false);
        let (loaded_now, recent) = (loaded.clone(), recent.clone());
        let round = serve(loaded_now, recent, args.demo, tried.as_ref(), &serving, stop.clone());
        let (ending, address) = match (runtime.block_on(round), tried.take()) {
            (Ok(ended), _) => ended,
            (Err(error), Some(Tried { restore, kept: Ok(Some(kept)) })) if !serving.get() => {
                tracing::error!(%error, "the server cannot start with the backup; going back to the database before it");
                store::restore(&kept, &DataDir::of(&loaded.config).database(), &|| false)
                    .map_err(Error::internal)?;
                let why = format!("the server cannot start with it: {}", cause(&error));
                tried = Some(Tried { restore, kept: Err(why) });
                continue;
            }
            (Err(error), _) => return Err(error),
        };
        let Ending::Restore(restore) = ending else { break };
        tried = Some(put_in_place(restore, &loaded, &stop));
        // Whoever was told an address finds the server there again.
        loaded.config.server.listen = address;
    }
    Ok(ExitCode::SUCCESS)
}

/// A restore between two rounds, for the second to tell of.
struct Tried {
    restore: Restore,
    /// The database that was there before, or why it is there still.
    kept: std::result::Result<Option<PathBuf>, String>,
}

/// Puts a backup in the database's place for the next round. When that fails, or the server is to stop
/// meanwhile, the next round has the database of this one.
fn put_in_place(restore: Restore, loaded: &Loaded, stop: &watch::Receiver<bool>) -> Tried {
    let database = DataDir::of(&loaded.config).database();
    let backup = restore.backup.display();
    let kept = store::restore(&restore.backup, &database, &|| *stop.borrow());
    match &kept {
        Ok(kept) => {
            let was = kept.as_ref().map(|kept| kept.display().to_string());
            tracing::warn!(%backup, kept = was, "a backup was put in the database's place");
        }
        Err(error) => {
            tracing::error!(%backup, %error, "the backup could not be put in place; going on as before");
        }
    }
    Tried { restore, kept: kept.map_err(|error| error.to_string()) }
}

/// Raises the soft limit on open files to the hard one, and says when even that is too low.
fn make_room_for(connections: u32) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    // Where that is not permitted the warning below still tells.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    let wanted = u64::from(connections) + FILES_OF_OUR_OWN;
    if let Some(files) = getrlimit(Resource::Nofile).current.filter(|files| *files < wanted) {
        tracing::warn!(
            files,
            connections,
            "the limit on open files (ulimit -n) is too low for server.max_connections"
        );
    }
}

async fn serve(
    loaded: Loaded,
    recent: RecentLogs,
    with_demo: bool,
    tried: Option<&Tried>,
    serving: &Cell<bool>,
    mut stop: watch::Receiver<bool>,
) -> Result<(Ending, SocketAddr)> {
    let app = App::open(loaded, Clock::system(), Entropy::system(), recent).await?;
    match tried {
        Some(Tried { restore, kept: Ok(_) }) => app.services.note_restored(restore).await?,
        Some(Tried { restore, kept: Err(why) }) => {
            app.services.note_restore_failed(restore, why).await;
        }
        None => {}
    }
    let demo = if with_demo { Some(app.services.prepare_demo().await?) } else { None };
    match app.services.setup_from_config().await? {
        FirstOperator::Made => {
            tracing::info!("the first operator was made from admin.email and admin.password");
        }
        FirstOperator::ThereAlready => tracing::warn!(
            "admin.email and admin.password are ignored: this server has an operator already"
        ),
        FirstOperator::NotAsked => {}
    }
    greet(&app);
    if let Some(access) = demo {
        demo::start(&app, access);
    } else if app.services.is_demo()? {
        tracing::warn!(
            "this data folder was made by --demo and has sample accounts; use another for real data"
        );
    } else if app.services.needs_setup()? {
        let link = app.services.setup_link().await?;
        println!(
            "\n  No operator yet. Make the first one here, once, within {} hours:\n  {link}\n",
            app.services.config.auth.setup_hours
        );
    }
    serving.set(true);
    let address = app.address;
    let told = async move {
        // The other end is there until it has told.
        let _ = stop.wait_for(|stop| *stop).await;
    };
    let ending = app.run(told).await?;
    match ending {
        Ending::Stop => tracing::info!("stopped"),
        Ending::Restore(_) => tracing::info!("stopped, to start again with a backup"),
    }
    Ok((ending, address))
}

fn greet(app: &App) {
    let url = app.services.public_url();
    let data = app.data.path().canonicalize().unwrap_or_else(|_| app.data.path().to_owned());
    println!("CODITECT {} is serving.", env!("CARGO_PKG_VERSION"));
    println!("  Address   http://{}", app.address);
    println!("  Admin     {url}/admin");
    println!("  API       {url}/docs");
    println!("  Handbook  {url}/handbook");
    println!("  Data      {}", data.display());
    if std::io::stdout().is_terminal() {
        println!("  Stop      Ctrl+C");
    }
}

/// Becomes true at SIGTERM or SIGINT, also between two rounds. The handlers are in place when this returns:
/// nobody who sees the greeting, or waits for a restore, is left to die of a signal or to be unheard.
fn stop_signals(runtime: &Runtime) -> Result<watch::Receiver<bool>> {
    use tokio::signal::unix::{SignalKind, signal};
    let _context = runtime.enter();
    let mut terminate = signal(SignalKind::terminate()).map_err(Error::internal)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::internal)?;
    let (tell, stop) = watch::channel(false);
    runtime.spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping: finishing what runs");
        tell.send_replace(true);
    });
    Ok(stop)
}
