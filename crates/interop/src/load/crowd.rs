//! Very many connections that are idle most of the time; then the server stops.

use std::sync::Arc;
use std::time::Duration;

use duologue_tokio::{CloseCode, CloseStatus, Error, Event, Message, WebSocket};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::process::Server;
use super::report::{Durations, Report, megabytes, seconds};
use super::scale::Scale;
use super::sources::Sources;

/// So many opening handshakes go on at once.
const AT_ONCE: usize = 200;

/// How often one that talks sends a message.
const PACE: Duration = Duration::from_millis(200);

/// All pings are to be answered within this time.
const PINGS_ANSWERED: Duration = Duration::from_secs(1);

/// All connections are to be told of the server's end within this time.
const STOPPED: Duration = Duration::from_secs(5);

/// What the members of the crowd do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Rest,
    Ping,
    /// Those with lower numbers send messages.
    Talk,
}

/// How a member's connection ended.
#[derive(Debug)]
struct Farewell {
    at: Instant,
    going_away: bool,
    sent: u64,
    echoed: u64,
}

/// Opens the connections, lets them rest, pings on all of them, and stops the server while some
/// send messages.
pub(super) async fn run(scale: &Scale, report: &mut Report) -> Result<(), Error> {
    println!("\na crowd: {} connections", scale.crowd);
    let mut server = Server::start(&scale.server_arguments())?;
    let sources = Arc::new(Sources::new(server.address));
    let descriptors = server.descriptors()?;
    // What the first connection brings into memory belongs to no connection.
    sources.open().await?.close(CloseCode::NORMAL, "").await?;
    let memory = server.memory()?;

    let (orders, order) = watch::channel(Order::Rest);
    let (pongs, mut pong) = mpsc::unbounded_channel();
    let begun = Instant::now();
    let mut members = gather(scale, &sources, &order, &pongs).await?;
    report.note("opened in", seconds(begun.elapsed()));
    let grown = server.memory()?.saturating_sub(memory);
    let each = grown / u64::try_from(scale.crowd).unwrap_or(u64::MAX);
    report.note("memory of the server for them", format!("{} ({each} B each)", megabytes(grown)));

    sleep(scale.rest).await;
    let open = server.descriptors()?.saturating_sub(descriptors);
    let rest = format!("descriptors of the server after {} of rest", seconds(scale.rest));
    let all = scale.descriptors(scale.crowd);
    report.judge(open >= all, &rest, open, &format!("{all}"));

    let begun = Instant::now();
    let _ = orders.send(Order::Ping);
    let mut answers = Vec::new();
    let collect = async {
        while answers.len() < scale.crowd {
            let Some(at) = pong.recv().await else { break };
            answers.push(at - begun);
        }
    };
    let _ = timeout(PINGS_ANSWERED * 10, collect).await;
    let answers = Durations::new(answers);
    let all = answers.len() == scale.crowd;
    report.judge(all, "pings answered", answers.len(), &format!("{}", scale.crowd));
    report.note("answers after", &answers);
    report.within("the last answer", answers.longest(), PINGS_ANSWERED);

    let _ = orders.send(Order::Talk);
    sleep(scale.talk).await;
    let begun = Instant::now();
    server.terminate()?;
    let mut farewells = Vec::new();
    let all_left = async {
        while let Some(farewell) = members.join_next().await {
            farewells.extend(farewell.map_err(std::io::Error::other)?);
        }
        Ok::<_, Error>(())
    };
    // Who has not left by then is not told.
    timeout(STOPPED * 4, all_left).await.unwrap_or(Ok(()))?;
    let told = farewells.iter().filter(|farewell| farewell.going_away).count();
    report.judge(told == scale.crowd, "told 1001", told, &format!("{}", scale.crowd));
    let ends = Durations::new(farewells.iter().map(|farewell| farewell.at - begun).collect());
    report.note("told after", &ends);
    report.within("the last one told", ends.longest(), STOPPED);
    let (sent, echoed) = farewells
        .iter()
        .fold((0, 0), |(sent, echoed), farewell| (sent + farewell.sent, echoed + farewell.echoed));
    let accepted = server.last_words().await?.accepted;
    report.note("messages sent until then", sent);
    let taken = format!("{accepted} taken, {echoed} echoed");
    report.judge(accepted == echoed && echoed > 0, "none taken is lost", taken, "as many");
    Ok(())
}

/// Opens all connections.
async fn gather(
    scale: &Scale,
    sources: &Arc<Sources>,
    order: &watch::Receiver<Order>,
    pongs: &mpsc::UnboundedSender<Instant>,
) -> Result<JoinSet<Option<Farewell>>, Error> {
    let permits = Arc::new(Semaphore::new(AT_ONCE));
    let mut opening = JoinSet::new();
    for number in 0..scale.crowd {
        let permit = Arc::clone(&permits).acquire_owned().await.map_err(std::io::Error::other)?;
        let sources = Arc::clone(sources);
        opening.spawn(async move {
            let websocket = sources.open().await;
            drop(permit);
            websocket.map(|websocket| (number, websocket))
        });
    }
    let mut members = JoinSet::new();
    while let Some(opened) = opening.join_next().await {
        let (number, websocket) = opened.map_err(std::io::Error::other)??;
        let talks = number < scale.talkers;
        let member = Member { websocket, talks, sent: 0, echoed: 0, pongs: pongs.clone() };
        members.spawn(member.run(order.clone()));
    }
    Ok(members)
}

struct Member {
    websocket: WebSocket<TcpStream>,
    talks: bool,
    sent: u64,
    echoed: u64,
    pongs: mpsc::UnboundedSender<Instant>,
}

impl Member {
    /// Does what is ordered until the connection ends; `None` if it ends with an error.
    async fn run(mut self, mut orders: watch::Receiver<Order>) -> Option<Farewell> {
        let mut next = None;
        loop {
            tokio::select! {
                event = self.websocket.next_event() => match event.transpose().ok()? {
                    Some(Event::Message(message)) => self.check(&message)?,
                    Some(Event::Pong(payload)) if *payload == *b"all" => {
                        let _ = self.pongs.send(Instant::now());
                    }
                    Some(_) => {}
                    None => return Some(self.farewell()),
                },
                Ok(()) = orders.changed() => match *orders.borrow_and_update() {
                    Order::Talk if !self.talks => next = None,
                    order => next = Some((Instant::now(), order)),
                },
                Some(order) = due(next) => {
                    next = None;
                    match order {
                        Order::Ping => self.websocket.ping(b"all").await.ok()?,
                        // That the server closes is seen above.
                        Order::Talk => if self.websocket.send(self.sent.to_string()).await.is_ok() {
                            self.sent += 1;
                            next = Some((Instant::now() + PACE, Order::Talk));
                        },
                        Order::Rest => {}
                    }
                }
            }
        }
    }

    /// Each echo is the next message.
    fn check(&mut self, message: &Message) -> Option<()> {
        let expected = self.echoed.to_string();
        self.echoed += 1;
        (message.as_text() == Some(&expected)).then_some(())
    }

    fn farewell(&self) -> Farewell {
        let outcome = self.websocket.close_outcome();
        let going_away = CloseStatus::Code(CloseCode::GOING_AWAY);
        Farewell {
            at: Instant::now(),
            going_away: outcome.is_some_and(|outcome| outcome.status == going_away),
            sent: self.sent,
            echoed: self.echoed,
        }
    }
}

/// Waits until it is time for what is to be done next.
async fn due(next: Option<(Instant, Order)>) -> Option<Order> {
    let (at, order) = next?;
    sleep_until(at).await;
    Some(order)
}
