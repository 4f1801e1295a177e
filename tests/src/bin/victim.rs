//! A server that fails on demand: `victim [ADDRESS:]PORT`, `victim shared PORT` (SO_REUSEPORT), `victim inherited PORT` (systemd
//! listens for it), `victim orphan PORT PIDFILE`, or
//! `victim once PORT PIDFILE`.
//!
//! It answers `It works!`, and obeys requests for its own harm, which a new process has forgotten:
//! `/exit/N` ends with that code, `/abort` by SIGABRT, `/eat/N` takes so many MiB of memory, `/close` closes the listener and
//! lives on, `/wait/MILLISECONDS` answers after so long, `/socket` opens a websocket that is never answered, `/mode/MODE` changes what is answered from then on. A mode in the file /etc/victim/PORT outlives restarts. Modes:
//! `well` · `silent` (reads, never answers) · `trickle` (one byte a second) · `wrong` ("It works.") · a number (that status) ·
//! `deaf` (accepts no more) · `lock` (waits for the lock of /run/word before each answer) · `burn=MILLISECONDS` (of CPU time for each answer) · `warm-up=SECONDS` (503 for that long after the start).
//!
//! `orphan` leaves the server to a parent that never reaps it, as a forking daemon with a PID file. `once` refuses to
//! start (exit code 1) while the PID in its file lives, whoever that is, and leaves the file behind.

use std::{
    env, fs,
    io::{self, BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    os::fd::{FromRawFd, OwnedFd},
    process::{self, Command, ExitCode, abort, exit},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use rustix::{
    fs::{FlockOperation, flock},
    net::{AddressFamily, SocketType, bind, listen, socket, sockopt},
    process::{Pid, test_kill_process},
    time::{ClockId, clock_gettime},
};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        [port] => serve(port, |address| TcpListener::bind(address)),
        ["shared", port] => serve(port, shared),
        ["inherited", port] => serve(port, inherited),
        ["orphan", port, pid_file] => start_orphan(port, pid_file),
        ["once", port, pid_file] => once(port, pid_file),
        ["heartless", port, pid_file] => never_reap(port, pid_file),
        _ => ExitCode::from(64),
    }
}

/// Takes whoever has the PID in its file for itself, as httpd does.
fn once(port: &str, pid_file: &str) -> ExitCode {
    let named = fs::read_to_string(pid_file).ok().and_then(|text| Pid::from_raw(text.trim().parse().ok()?));
    if named.is_some_and(|pid| test_kill_process(pid).is_ok()) {
        eprintln!("(pid {named:?}) already running");
        return ExitCode::FAILURE;
    }
    match fs::write(pid_file, format!("{}\n", process::id())) {
        Ok(()) => serve(port, |address| TcpListener::bind(address)),
        Err(_) => ExitCode::FAILURE,
    }
}

/// Ends once the PID file is there, as a forking daemon does.
fn start_orphan(port: &str, pid_file: &str) -> ExitCode {
    let _from_an_earlier_run = fs::remove_file(pid_file);
    if again(&["heartless", port, pid_file]).is_none() {
        return ExitCode::FAILURE;
    }
    while !fs::read_to_string(pid_file).is_ok_and(|pid| pid.ends_with('\n')) {
        thread::yield_now();
    }
    ExitCode::SUCCESS
}

fn never_reap(port: &str, pid_file: &str) -> ExitCode {
    let Some(server) = again(&[port]) else { return ExitCode::FAILURE };
    if fs::write(pid_file, format!("{server}\n")).is_err() {
        return ExitCode::FAILURE;
    }
    loop {
        thread::park();
    }
}

/// Starts this program once more, and does not wait for it; answers its PID.
fn again(arguments: &[&str]) -> Option<u32> {
    Command::new(env::current_exe().ok()?).args(arguments).spawn().ok().map(|child| child.id())
}

type Mode = Arc<Mutex<String>>;

/// Other programs of the same user may listen there too.
fn shared(address: &str) -> io::Result<TcpListener> {
    let address: SocketAddr = address.parse().map_err(io::Error::other)?;
    let made = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    sockopt::set_socket_reuseport(&made, true)?;
    bind(&made, &address)?;
    listen(&made, 128)?;
    Ok(made.into())
}

/// The listener that a .socket unit hands over.
#[allow(unsafe_code, reason = "only systemd knows what the descriptor is")]
fn inherited(_address: &str) -> io::Result<TcpListener> {
    if env::var("LISTEN_FDS").as_deref() != Ok("1") {
        return Err(io::Error::other("systemd handed nothing over"));
    }
    // SAFETY: systemd opened it for us, by sd_listen_fds(3), and nobody else in this process uses it.
    Ok(TcpListener::from(unsafe { OwnedFd::from_raw_fd(3) }))
}

fn serve(port: &str, listener: impl FnOnce(&str) -> io::Result<TcpListener>) -> ExitCode {
    let began = Instant::now();
    let address = if port.contains(':') { port.to_owned() } else { format!("127.0.0.1:{port}") };
    let lasting = fs::read_to_string(format!("/etc/victim/{port}")).unwrap_or_default();
    let mode: Mode = Arc::new(Mutex::new(lasting.trim().to_owned()));
    let Ok(listener) = listener(&address) else { return ExitCode::from(98) };
    loop {
        if now(&mode) == "deaf" {
            thread::park();
            continue;
        }
        let Ok((client, _)) = listener.accept() else { continue };
        // `/close` and `deaf` must hold before the next accept: the first line is read here.
        let mut reader = BufReader::new(client);
        let path = request(&mut reader).unwrap_or_default();
        let client = reader.into_inner();
        if path == "/close" {
            answer(client, "200 OK", "closed\n");
            drop(listener);
            loop {
                thread::park();
            }
        }
        if let Some(wanted) = path.strip_prefix("/mode/") {
            wanted.clone_into(&mut mode.lock().unwrap_or_else(PoisonError::into_inner));
            answer(client, "200 OK", "done\n");
            continue;
        }
        let mode = now(&mode);
        thread::spawn(move || reply(client, &path, &mode, began));
    }
}

fn now(mode: &Mode) -> String {
    mode.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Reads a request up to its empty line; answers its path.
fn request(reader: &mut BufReader<TcpStream>) -> Option<String> {
    reader.get_ref().set_read_timeout(Some(Duration::from_millis(500))).ok()?;
    let mut lines = reader.lines();
    let first = lines.next()?.ok()?;
    while !lines.next()?.ok()?.is_empty() {}
    first.split(' ').nth(1).map(str::to_owned)
}

fn reply(client: TcpStream, path: &str, mode: &str, began: Instant) {
    if let Some(code) = path.strip_prefix("/exit/") {
        exit(code.parse().unwrap_or(1));
    }
    if path == "/abort" {
        abort();
    }
    if let Some(millis) = path.strip_prefix("/wait/").and_then(|millis| millis.parse().ok()) {
        thread::sleep(Duration::from_millis(millis));
        return answer(client, "200 OK", "So it is\n");
    }
    if path == "/socket" {
        return hear(client);
    }
    if let Some(mebibytes) = path.strip_prefix("/eat/").and_then(|n| n.parse::<usize>().ok()) {
        // Written to, for only then it is taken; and kept.
        std::mem::forget(std::hint::black_box(vec![1_u8; mebibytes << 20]));
    }
    let mode = match mode.strip_prefix("warm-up=").and_then(|seconds| seconds.parse().ok()) {
        Some(seconds) if began.elapsed() < Duration::from_secs(seconds) => "503",
        Some(_) => "well",
        None => mode,
    };
    if let Some(millis) = mode.strip_prefix("burn=").and_then(|millis| millis.parse().ok()) {
        burn(Duration::from_millis(millis));
    }
    match mode {
        "silent" => loop {
            thread::park(); // the client is kept
        },
        "trickle" => trickle(client),
        "lock" => {
            let word = fs::File::open("/run/word");
            if word.is_ok_and(|word| flock(&word, FlockOperation::LockExclusive).is_ok()) {
                answer(client, "200 OK", "It works!\n");
            }
        }
        "wrong" => answer(client, "200 OK", "It works.\n"),
        status if status.parse::<u16>().is_ok() => answer(client, &format!("{status} So it is"), "no\n"),
        _ => answer(client, "200 OK", "It works!\n"),
    }
}

/// Works for as long as it takes to get this much of a CPU.
fn burn(time: Duration) {
    let own = || clock_gettime(ClockId::ThreadCPUTime);
    let began = own();
    while Duration::try_from(own() - began).is_ok_and(|spent| spent < time) {}
}

/// In one piece, as servers do.
fn answer(mut client: TcpStream, status: &str, body: &str) {
    let length = body.len();
    let whole = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
    let _the_client_may_be_gone = client.write_all(whole.as_bytes());
}

/// What comes over the websocket is for nobody.
fn hear(mut client: TcpStream) {
    let opened = client
        .write_all(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
    let _listens = client.set_read_timeout(None);
    if opened.is_ok() {
        let _until_it_ends = io::copy(&mut client, &mut io::sink());
    }
}

fn trickle(mut client: TcpStream) {
    let whole = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\nConnection: close\r\n\r\nIt works!\n";
    let (head, body) = whole.split_at(whole.len() - 10);
    let mut sent = client.write_all(head.as_bytes());
    for byte in body.bytes() {
        thread::park_timeout(Duration::from_secs(1));
        sent = sent.and_then(|()| client.write_all(&[byte]));
    }
}
