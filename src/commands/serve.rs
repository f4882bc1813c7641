//! `coditect serve`.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;

use tokio::sync::watch;

use super::{control, demo, load, runtime};
use crate::app::App;
use crate::cli::Serve;
use crate::clock::Clock;
use crate::domain::error::{Error, Result};
use crate::entropy::Entropy;
use crate::services::accounts::FirstOperator;
use crate::telemetry::init_logs;

/// Files that are open beside connections: the database, mails, backups, the program's own.
const FILES_OF_OUR_OWN: u64 = 64;

pub(super) fn run(args: &Serve) -> Result<ExitCode> {
    let mut loaded = load(args.flags())?;
    if args.demo {
        demo::settings(&mut loaded);
    }
    init_logs(loaded.config.log.format, &loaded.config.log.level).map_err(Error::internal)?;
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    make_room_for(loaded.config.server.max_connections);
    runtime()?.block_on(serve(loaded, args.demo))?;
    Ok(ExitCode::SUCCESS)
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

async fn serve(loaded: crate::config::Loaded, with_demo: bool) -> Result<()> {
    // Whoever sees the greeting may ask for the end: nobody is left to die of a signal unheard.
    let stop = shutdown()?;
    let app = App::open(loaded, Clock::system(), Entropy::system()).await?;
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
    let (ending, ended) = watch::channel(false);
    let socket = tokio::spawn(control::serve(Arc::clone(&app.services), app.data.clone(), ended));
    let ran = app.run(stop).await;
    ending.send_replace(true);
    let _ = socket.await;
    ran?;
    tracing::info!("stopped");
    Ok(())
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

/// Completes at SIGTERM or SIGINT. The handlers are in place when this returns.
fn shutdown() -> Result<impl Future<Output = ()> + Send> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).map_err(Error::internal)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::internal)?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping: finishing what runs");
    })
}
