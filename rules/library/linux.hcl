# Machines: sudo, accounts, logs.

rule "linux.sudo_root_new_user" {
  title           = "${user.name} runs commands as root for the first time"
  description     = "A user runs a command as root through sudo, doas or pkexec who did not in 90 days."
  severity        = "medium"
  attack          = ["T1548.003"]
  tags            = ["linux", "privilege", "extra"]
  false_positives = ["a new administrator"]
  runbook         = "Was the user put into a group of administrators, and by whom (linux.admin_group_member)? Read the command (process.command_line)."
  when            = event.action == "command-run" && event.outcome == "success" && user.effective.name == "root" && user.name != "root"
  fire            = first_seen(user.name, "90d")
  quiet           = "24h"
  learn {
    for        = "7d"
    min_events = 10
  }

  test "somebody new after two weeks" {
    events = concat(
      [for i in range(21) : event("+${i * 24}h", { "event.action" = "command-run", "event.outcome" = "success", "user.name" = "ops", "user.effective.name" = "root", "host.name" = "web01" })],
      [event("+504h", { "event.action" = "command-run", "event.outcome" = "success", "user.name" = "support2", "user.effective.name" = "root", "host.name" = "web01" })],
    )
    expect = [{ at = "+504h", key = [] }]
  }
  test "lines of sudo" {
    parser = "linux_auth"
    log    = join("\n", [for i in range(12) : "2026-01-${10 + i}T10:00:00Z web01 sudo:      ops : TTY=pts/1 ; PWD=/home/ops ; USER=root ; COMMAND=/usr/bin/apt-get update"], ["2026-01-22T10:00:00Z web01 sudo: support2 : TTY=pts/1 ; PWD=/tmp ; USER=root ; COMMAND=/bin/bash"])
    expect = [{ at = "+288h", key = [] }]
  }
  test "the same people as ever, one as another user" {
    events = concat(
      [for i in range(21) : event("+${i * 24}h", { "event.action" = "command-run", "event.outcome" = "success", "user.name" = i % 2 == 0 ? "ops" : "alice", "user.effective.name" = "root", "host.name" = "web0${i % 3}" })],
      [event("+504h", { "event.action" = "command-run", "event.outcome" = "success", "user.name" = "deploy", "user.effective.name" = "www-data", "host.name" = "web01" })],
    )
    expect = []
  }
}

rule "linux.admin_group_member" {
  title           = "${user.target.name} was added to the group ${group.name} on ${host.name}"
  description     = "A local user was added to a group that rules the machine (list admin_groups)."
  severity        = "medium"
  attack          = ["T1098.007"]
  tags            = ["linux", "privilege", "accounts", "extra"]
  false_positives = ["a new administrator", "a package that adds its user to docker"]
  runbook         = "Ask who did it: the sudo line just before names them. Take the user out where nobody knows."
  when            = event.action == "group-member-add" && event.outcome == "success" && event.dataset == "linux.auth" && contains(list.admin_groups, group.name)
  by              = [[gatebook.user.key]]
  quiet           = "24h"

  test "usermod" {
    parser = "linux_auth"
    log    = "2026-01-12T10:00:00Z web01 usermod[71]: add 'bob' to group 'sudo'"
    expect = [{ at = "+0s", key = ["web01/bob"] }]
  }
  test "another group" {
    parser = "linux_auth"
    log    = "2026-01-12T10:00:00Z web01 usermod[71]: add 'bob' to group 'www-data'"
    expect = []
  }
}

rule "linux.new_admin_user" {
  title           = "New local user with administrator's rights: ${key}"
  description     = "A local account was made and within an hour added to a group that rules the machine."
  severity        = "high"
  attack          = ["T1136.001", "T1098.007"]
  tags            = ["linux", "privilege", "accounts", "compromise", "extra"]
  false_positives = ["a machine that is being set up"]
  runbook         = "Intruders make such accounts to come back. Who did it (the sudo line just before)? Unknown: lock both accounts, look at all sessions of the machine."
  by              = [[gatebook.user.key]]
  quiet           = "24h"

  sequence {
    within = "1h"
    step "made" { when = event.action == "user-create" && event.outcome == "success" && event.dataset == "linux.auth" }
    step "raised" { when = event.action == "group-member-add" && event.outcome == "success" && contains(list.admin_groups, group.name) }
  }

  test "useradd -G sudo" {
    parser = "linux_auth"
    log    = <<-EOT
      2026-01-12T02:48:40Z web02 useradd[71]: new user: name=support2, UID=1042, GID=1042, home=/home/support2, shell=/bin/bash, from=/dev/pts/2
      2026-01-12T02:48:41Z web02 useradd[71]: add 'support2' to group 'sudo'
    EOT
    expect = [{ at = "+1s", key = ["web02/support2"] }]
  }
  test "an account for a service" {
    parser = "linux_auth"
    log    = <<-EOT
      2026-01-12T10:00:00Z web02 useradd[71]: new user: name=metrics, UID=998, GID=998, home=/var/lib/metrics, shell=/usr/sbin/nologin, from=none
      2026-01-12T10:00:01Z web02 usermod[72]: add 'metrics' to group 'adm'
      2026-01-12T10:00:02Z web02 usermod[73]: add 'bob' to group 'www-data'
    EOT
    expect = []
  }
}

rule "linux.sudo_refused" {
  title           = "${user.name} may not use sudo and tries: ${host.name}"
  description     = "A user who is not in the sudoers file, or not for this command, tries to run it as root."
  severity        = "low"
  attack          = ["T1548.003"]
  tags            = ["linux", "privilege", "extra"]
  false_positives = ["a habit from another machine"]
  runbook         = "Read the command. A service's account that tries sudo is worth more than a person's."
  when            = event.action == "command-run" && event.outcome == "failure" && matches(event.reason, "(?i)not in sudoers|not allowed|not permitted")
  by              = [[gatebook.user.key]]
  quiet           = "24h"

  test "not in sudoers" {
    parser = "linux_auth"
    log    = "2026-01-12T10:00:00Z web01 sudo:   www-data : user NOT in sudoers ; TTY=unknown ; PWD=/tmp ; USER=root ; COMMAND=/bin/bash"
    expect = [{ at = "+0s", key = ["web01/www-data"] }]
  }
  test "a mistyped password" {
    parser = "linux_auth"
    log    = "2026-01-12T10:00:00Z web01 sudo:      ops : 1 incorrect password attempt ; TTY=pts/1 ; PWD=/home/ops ; USER=root ; COMMAND=/bin/ls"
    expect = []
  }
}

rule "linux.log_tampering" {
  title           = "${user.name} removes or stops logs on ${host.name}"
  description     = "A command run through sudo deletes files under /var/log, empties the journal, or stops what writes the logs."
  severity        = "high"
  attack          = ["T1070.002", "T1562.001"]
  tags            = ["linux", "audit", "extra"]
  false_positives = ["a full disk that is cleared by hand"]
  runbook         = "Ask the user. Without an answer treat the machine as taken over; what Gatebook has read of the logs is kept."
  when            = event.action == "command-run" && event.outcome == "success" && matches(process.command_line, "(rm|shred|unlink|truncate)\\s.*/var/log/|journalctl\\s.*--vacuum-(time|size|files)=[01][a-z]*([^0-9A-Za-z_]|$)|auditctl\\s+(.*\\s)?(-e\\s*0|-D)|systemctl\\s+(stop|disable|mask)\\s+.*(auditd|rsyslog|syslog|journald|gatebook)|service\\s+(auditd|rsyslog|gatebook)\\s+stop")
  by              = [[gatebook.user.key]]
  quiet           = "12h"

  test "the log of logins" {
    parser = "linux_auth"
    log    = "2026-01-12T10:00:00Z web01 sudo:      ops : TTY=pts/1 ; PWD=/home/ops ; USER=root ; COMMAND=/usr/bin/rm -f /var/log/auth.log"
    expect = [{ at = "+0s", key = ["web01/ops"] }]
  }
  test "the audit daemon stopped" {
    parser = "linux_auth"
    log    = "2026-01-12T10:00:00Z web01 sudo:      ops : TTY=pts/1 ; PWD=/home/ops ; USER=root ; COMMAND=/usr/bin/systemctl stop auditd"
    expect = [{ at = "+0s", key = ["web01/ops"] }]
  }
  test "reading logs, an orderly clean-up" {
    parser = "linux_auth"
    log    = <<-EOT
      2026-01-12T10:00:00Z web01 sudo:      ops : TTY=pts/1 ; PWD=/home/ops ; USER=root ; COMMAND=/usr/bin/tail -n 200 /var/log/nginx/error.log
      2026-01-12T10:01:00Z web01 sudo:      ops : TTY=pts/1 ; PWD=/home/ops ; USER=root ; COMMAND=/usr/bin/journalctl --vacuum-time=30d
      2026-01-12T10:02:00Z web01 sudo:      ops : TTY=pts/1 ; PWD=/home/ops ; USER=root ; COMMAND=/usr/bin/systemctl restart rsyslog
      2026-01-12T10:03:00Z web01 sudo:      ops : TTY=pts/1 ; PWD=/home/ops ; USER=root ; COMMAND=/usr/bin/rm -rf /var/cache/apt
    EOT
    expect = []
  }
}
