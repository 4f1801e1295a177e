/// What is different under watchdog, in the order in which people want to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Change {
    NoCycle,
    ByPidFile,
    Programs,
    NoStart,
    Passive,
    Stop,
    StopTimeout,
    StartTimeout,
    Unmonitor,
    LimitAlert,
    Ends,
    StartIsRestart,
    SecondAsk,
    InUse,
    Tolerance,
    InARow,
    Refused,
    OwnListener,
    OnlyConnects,
    Pattern,
    Literal,
    Certificate,
    Password,
    Mail,
    Depends,
    Gate,
    Log,
    LogShare,
    LogGone,
    Identity,
    OneService,
    Renamed,
}

impl Change {
    pub(super) fn says(self) -> &'static str {
        match self {
            Change::NoCycle => {
                "no `set daemon` says how long a cycle is: taken as 120 s (`--cycle` says another length)"
            }
            Change::ByPidFile => {
                "no command names the unit: it was found by the PID file on this host, look whether it is the right one"
            }
            Change::Programs => {
                "no start or stop program is run: systemd restarts the unit, by one job, as the unit says"
            }
            Change::NoStart => {
                "without a start program monit only told of failures, and so does watchdog: take `on = \"no\"` and `on_failure = \
                 \"alert\"` out to have the unit restarted"
            }
            Change::Passive => "not in mode active: watchdog tells, and restarts nothing",
            Change::Stop => {
                "monit gave a stop up after 30 s, and then did not start again; watchdog waits as long as the unit says \
                 (TimeoutStopSec=), then kills what is left, and starts"
            }
            Change::StopTimeout => {
                "a stop that outlasts its time-out is no give-up: what is left of the unit is killed, and the start follows"
            }
            Change::StartTimeout => {
                "a start that outlasts its time-out raises an alarm; the next try follows after a pause"
            }
            Change::Unmonitor => {
                "instead of `unmonitor` (`timeout`): quarantine. It is told, the service is still watched, tried again more and \
                 more seldom, and leaves quarantine by itself"
            }
            Change::LimitAlert => {
                "after so many restarts watchdog does not only tell: further tries come more and more seldom (quarantine)"
            }
            Change::Ends => {
                "a unit that ended is started at once, also after a clean end; one that an operator stopped through systemd stays \
                 down (monit started it again)"
            }
            Change::StartIsRestart => {
                "`start` for a living process that fails is a restart: a start alone did nothing"
            }
            Change::SecondAsk => {
                "one failed ask is not acted upon: it is asked a second time after 200 ms (`failures = 1` for none)"
            }
            Change::InUse => {
                "monit asked once a cycle; watchdog asks every 5 s while clients are connecting, and at once where the kernel shows a \
                 fault: `every_in_use`, set to the length of a cycle, keeps monit's pace, and finds a wrong answer later"
            }
            Change::Tolerance => {
                "failures over several cycles: as many asks in a row, one cycle apart, before anything is done; a shorter \
                 `retry_after` finds a hang sooner"
            }
            Change::InARow => "N times within M cycles: N failures in a row; there is no counting with gaps",
            Change::Refused => {
                "4xx statuses count as failures, as in monit; with `status` left out they would be told and nothing restarted, for \
                 a restart does not cure a 403"
            }
            Change::OwnListener => {
                "names are not resolved: the heartbeat connects to the unit's own listener for the port, else to loopback, and says \
                 the name as Host; `connect` says another address"
            }
            Change::OnlyConnects => "only the connection is tested, not what is said over it",
            Change::Pattern => {
                "`content` is a regular expression in monit (POSIX), and `body_regex` one here (Rust's regex): look at it once"
            }
            Change::Literal => {
                "this pattern means itself alone: it became the literal `body` (monit's `.` and `?` are signs of a pattern)"
            }
            Change::Certificate => {
                "a bad or old certificate is told and restarts nothing; monit did not verify it unless told so, hence `verify = \
                 false`"
            }
            Change::Password => {
                "passwords are not copied: put user:password on one line of a file of mode 0600, name it in `basic_auth_file`, and \
                 take 401 out of `status`"
            }
            Change::Mail => {
                "mails have watchdog's own words, and come of failures and their ends, not of actions of people; TLS is shaken at once \
                 on port 465 and by STARTTLS on others, and the server must prove who it is (`ca`): try `watchdog notify --test`"
            }
            Change::Depends => {
                "`depends on`: while that service fails, this one is not restarted; it is not stopped and started along with it"
            }
            Change::Gate => {
                "a disabled or masked unit is left alone, and watched again as soon as it is enabled (monit left it unmonitored)"
            }
            Change::Log => {
                "a line in a log raises a suspicion and restarts nothing by itself: the heartbeat that follows decides"
            }
            Change::LogShare => {
                "5xx in an access log: half of at least 20 answers within 10 s, with any method, instead of single lines"
            }
            Change::LogGone => {
                "monit's unspoken rule that a missing file restarts the service is not copied: each rotation of a log would do it"
            }
            Change::Identity => {
                "a process is known by its unit's cgroup, not by a PID file or a pattern; the PID file only explains a start that \
                 fails"
            }
            Change::OneService => {
                "checks of one unit became one service: triggers at one time are one restart"
            }
            Change::Renamed => "names have only letters, digits, dots, hyphens and underscores here",
        }
    }
}
