use expect_test::expect;

use super::{metrics, status};

#[test]
fn the_metrics_are_open_metrics() {
    expect![[r##"
        # HELP watchdog_build Which watchdog runs
        # TYPE watchdog_build gauge
        watchdog_build{version="1.2.3"} 1
        # HELP watchdog_uptime_seconds For how long it has run
        # TYPE watchdog_uptime_seconds gauge
        # UNIT watchdog_uptime_seconds seconds
        watchdog_uptime_seconds 4.0
        # HELP watchdog_observe 1: everything is decided, and nothing is done
        # TYPE watchdog_observe gauge
        watchdog_observe 0
        # HELP watchdog_host_budget_left Restarts that the whole host may cost yet
        # TYPE watchdog_host_budget_left gauge
        watchdog_host_budget_left 19
        # HELP watchdog_rung By what a failure class is seen
        # TYPE watchdog_rung gauge
        watchdog_rung{class="exit",rung="tp_btf"} 1
        watchdog_rung{class="accept_stall",rung="sock_diag"} 1
        # HELP watchdog_rung_degraded 1: a better rung than this does not work here
        # TYPE watchdog_rung_degraded gauge
        watchdog_rung_degraded{class="exit"} 0
        watchdog_rung_degraded{class="accept_stall"} 1
        # HELP watchdog_source_working Whether a source works
        # TYPE watchdog_source_working gauge
        watchdog_source_working{source="ebpf"} 1
        # HELP watchdog_losses How often a source has lost something
        # TYPE watchdog_losses counter
        watchdog_losses_total{source="ebpf"} 1
        # HELP watchdog_lost_records What sources have lost, as far as it is known
        # TYPE watchdog_lost_records counter
        watchdog_lost_records_total{source="ebpf"} 4
        # HELP watchdog_unwritten_events Events that a sink has not taken
        # TYPE watchdog_unwritten_events counter
        watchdog_unwritten_events_total{sink="stdout"} 3
        # HELP watchdog_service_enabled Its unit is not disabled or masked
        # TYPE watchdog_service_enabled gauge
        watchdog_service_enabled{service="web",unit="nginx.service"} 1
        # HELP watchdog_service_up Its unit is active
        # TYPE watchdog_service_up gauge
        watchdog_service_up{service="web",unit="nginx.service"} 1
        # HELP watchdog_service_healthy It answers as it should; left out while nobody can say
        # TYPE watchdog_service_healthy gauge
        watchdog_service_healthy{service="web",unit="nginx.service"} 1
        # HELP watchdog_service_quarantined Its budget is spent
        # TYPE watchdog_service_quarantined gauge
        watchdog_service_quarantined{service="web",unit="nginx.service"} 0
        # HELP watchdog_service_paused An operator wants hands off
        # TYPE watchdog_service_paused gauge
        watchdog_service_paused{service="web",unit="nginx.service"} 0
        # HELP watchdog_incident_open Something is going on
        # TYPE watchdog_incident_open gauge
        watchdog_incident_open{service="web",unit="nginx.service"} 0
        # HELP watchdog_budget_left Restarts that it may cost yet
        # TYPE watchdog_budget_left gauge
        watchdog_budget_left{service="web",unit="nginx.service"} 2
        # HELP watchdog_service_health 1 for the one that is true
        # TYPE watchdog_service_health gauge
        watchdog_service_health{service="web",health="well"} 1
        watchdog_service_health{service="web",health="unsure"} 0
        watchdog_service_health{service="web",health="down"} 0
        watchdog_service_health{service="web",health="failing"} 0
        watchdog_service_health{service="web",health="quarantined"} 0
        # HELP watchdog_incidents Incidents that have ended
        # TYPE watchdog_incidents counter
        watchdog_incidents_total{service="web",end="recovered"} 1
        watchdog_incidents_total{service="web",end="quarantined"} 0
        watchdog_incidents_total{service="web",end="stood_down"} 0
        # HELP watchdog_restarts Restarts and starts that were requested
        # TYPE watchdog_restarts counter
        watchdog_restarts_total{service="web"} 1
        # HELP watchdog_heartbeats Heartbeats that have ended
        # TYPE watchdog_heartbeats counter
        watchdog_heartbeats_total{service="web",verdict="alive"} 7
        watchdog_heartbeats_total{service="web",verdict="dead"} 2
        watchdog_heartbeats_total{service="web",verdict="unknown"} 0
        # HELP watchdog_heartbeats_took_seconds How long all of them took
        # TYPE watchdog_heartbeats_took_seconds counter
        # UNIT watchdog_heartbeats_took_seconds seconds
        watchdog_heartbeats_took_seconds_total{service="web"} 1.5
        # HELP watchdog_suspicions What made it suspect
        # TYPE watchdog_suspicions counter
        watchdog_suspicions_total{service="web",why="accept_stall"} 1
        # EOF
    "##]]
    .assert_eq(&metrics::text(&status()).unwrap());
}
