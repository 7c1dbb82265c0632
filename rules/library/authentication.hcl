# Guessing: many failed logins, and what came of them.

rule "auth.bruteforce" {
  title           = "${count()} failed logins for ${key}"
  description     = "Five failed logins within 15 minutes: of one user, from one address, or of one user from one address; from the company's own networks (list office_networks), where many share an address, twenty. Repeats that a line stands for are counted."
  severity        = "low"
  attack          = ["T1110.001"]
  tags            = ["login", "failures"]
  false_positives = ["a forgotten password", "a phone or a script that still has the old password", "scanners: whatever is on the internet is guessed at all day, so this is folded into a digest"]
  runbook         = "See whether a login succeeded afterwards (auth.failures_then_success and auth.bruteforce_success tell you). Block an address that goes on; ask the user where it is one account from its usual address."
  when            = failed
  by              = [[gatebook.user.key], [source.ip], [source.ip, gatebook.user.key]]
  window          = "15m"
  fire            = count() >= 5 && (!contains(list.office_networks, source.ip) || count() >= 20)
  quiet           = "6h"

  test "fires on the fifth" {
    events = [for i in range(5) : login_failed("+${i}m", "bob", "203.0.113.9")]
    expect = [for k in [["bob"], ["203.0.113.9"], ["203.0.113.9", "bob"]] : { at = "+4m", key = k }]
  }
  test "a user at five addresses" {
    events = [for i in range(5) : login_failed("+${i}m", "bob", "203.0.113.${i + 1}")]
    expect = [{ at = "+4m", key = ["bob"] }]
  }
  test "five users from one address" {
    events = [for i in range(5) : login_failed("+${i}m", "u${i}", "203.0.113.9")]
    expect = [{ at = "+4m", key = ["203.0.113.9"] }]
  }
  test "a line of sshd that stands for four more" {
    parser = "linux_auth"
    log    = <<-EOT
      2026-01-12T10:00:00Z web01 sshd[71]: Failed password for ops from 203.0.113.9 port 5022 ssh2
      2026-01-12T10:00:20Z web01 sshd[71]: message repeated 4 times: [ Failed password for ops from 203.0.113.9 port 5022 ssh2]
    EOT
    expect = [for k in [["web01/ops"], ["203.0.113.9"], ["203.0.113.9", "web01/ops"]] : { at = "+20s", key = k }]
  }
  test "rows of the payment portal" {
    parser = "payment_portal"
    log    = <<-EOT
      2026-01-12T10:00:00Z,bob,1,5,203.0.113.9,Acme
      2026-01-12T10:01:00Z,bob,1,5,203.0.113.9,Acme
      2026-01-12T10:02:00Z,bob,7,5,203.0.113.9,Acme
      2026-01-12T10:03:00Z,bob,1,22,203.0.113.9,Acme
      2026-01-12T10:04:00Z,bob,1,13,203.0.113.9,Acme
    EOT
    expect = [for k in [["acme/bob"], ["203.0.113.9"], ["203.0.113.9", "acme/bob"]] : { at = "+4m", key = k }]
  }
  test "slow typist" {
    events = [for i in range(6) : login_failed("+${i * 4}m", "bob", "203.0.113.9")]
    expect = []
  }
  test "companions of an attempt are no attempts" {
    parser = "linux_auth"
    log    = <<-EOT
      2026-01-12T10:00:00Z web01 sshd[71]: Invalid user oracle from 203.0.113.9 port 5022
      2026-01-12T10:00:01Z web01 sshd[71]: pam_unix(sshd:auth): check pass; user unknown
      2026-01-12T10:00:02Z web01 sshd[71]: Failed password for invalid user oracle from 203.0.113.9 port 5022 ssh2
      2026-01-12T10:00:03Z web01 sshd[71]: Connection closed by invalid user oracle 203.0.113.9 port 5022 [preauth]
      2026-01-12T10:00:09Z web01 sshd[72]: Invalid user oracle from 203.0.113.9 port 5023
      2026-01-12T10:00:11Z web01 sshd[72]: Failed password for invalid user oracle from 203.0.113.9 port 5023 ssh2
    EOT
    expect = []
  }
}

rule "auth.bruteforce_rapid" {
  title           = "${count()} failed logins within a minute for ${key}"
  description     = "Ten failed logins of one user from one address within a minute: faster than anybody types."
  severity        = "low"
  attack          = ["T1110.001"]
  tags            = ["login", "failures"]
  false_positives = ["a script or mail client that retries an old password without waiting"]
  runbook         = "A program is at work. Block the address; where it is one of your own, find the job that has the old password."
  when            = failed
  by              = [[source.ip, gatebook.user.key]]
  window          = "1m"
  fire            = count() >= 10
  quiet           = "6h"

  test "ten in half a minute" {
    events = [for i in range(10) : login_failed("+${i * 3}s", "bob", "203.0.113.9")]
    expect = [{ at = "+27s", key = ["203.0.113.9", "bob"] }]
  }
  test "guessing at the loyalty platform" {
    parser = "activity_log"
    log    = join("\n", [for i in range(10) : "{\"id\":${i},\"log_name\":\"auth\",\"description\":\"Failed login attempt\",\"event\":\"login_failed\",\"subject_type\":null,\"subject_id\":null,\"causer_type\":null,\"causer_id\":null,\"properties\":{\"email\":\"bob@example.org\"},\"created_at\":\"2026-01-12T10:00:${10 + i}.000000Z\",\"ip_address\":\"203.0.113.9\"}"])
    expect = [{ at = "+9s", key = ["203.0.113.9", "bob@example.org"] }]
  }
  test "an office behind one address at nine" {
    events = [for i in range(30) : login_failed("+${i}s", "u${i}", "198.51.100.7")]
    expect = []
  }
}

rule "auth.bruteforce_slow" {
  title           = "${count()} failed logins of ${key} in a day"
  description     = "Twenty failed logins of one account spread over a day: guessing that stays under the limits of minutes."
  severity        = "medium"
  attack          = ["T1110.001"]
  tags            = ["login", "failures"]
  false_positives = ["a device that keeps the old password and tries every hour"]
  runbook         = "Look at the addresses and hours of the failures. A single address inside is a forgotten device: find it. Else warn the user and see that a second factor is on."
  when            = failed && !unknown_account
  by              = [[gatebook.user.key]]
  window          = "24h"
  fire            = count() >= 20
  quiet           = "24h"

  except "names_guessed_everywhere" {
    when   = event.dataset == "linux.auth" && contains(list.scanned_accounts, user.name)
    reason = "every machine on the internet is asked for these; auth.bruteforce counts them by address"
  }

  test "one every hour" {
    events = [for i in range(21) : login_failed("+${i}h", "bob", "203.0.113.9")]
    expect = [{ at = "+19h", key = ["bob"] }]
  }
  test "a typo every morning and evening" {
    events = [for i in range(40) : login_failed("+${i * 8}h", "bob", "198.51.100.7")]
    expect = []
  }
  test "root of a server on the internet" {
    parser = "linux_auth"
    log    = join("\n", [for i in range(24) : "2026-01-12T${i < 10 ? "0" : ""}${i}:05:00Z web01 sshd[${100 + i}]: Failed password for root from 203.0.113.${i + 1} port 5022 ssh2"])
    expect = []
  }
}

rule "auth.account_attacked" {
  title           = "${count()} failed logins of ${key} within an hour"
  description     = "Twenty failed logins of one existing account within an hour."
  severity        = "medium"
  attack          = ["T1110.001"]
  tags            = ["login", "failures"]
  false_positives = ["a job with an old password"]
  runbook         = "Warn the user, see that a second factor is on, block the addresses. Look for a success (auth.bruteforce_success)."
  when            = failed && !unknown_account
  by              = [[gatebook.user.key]]
  window          = "1h"
  fire            = count() >= 20
  quiet           = "12h"

  except "names_guessed_everywhere" {
    when   = event.dataset == "linux.auth" && contains(list.scanned_accounts, user.name)
    reason = "every machine on the internet is asked for these; auth.bruteforce counts them by address"
  }

  test "twenty in forty minutes" {
    events = [for i in range(20) : login_failed("+${i * 2}m", "bob", "203.0.113.${i}")]
    expect = [{ at = "+38m", key = ["bob"] }]
  }
  test "guesses at an account that does not exist" {
    events = [for i in range(30) : event("+${i}m", { "event.action" = "login", "event.outcome" = "failure", "event.reason" = "user_not_found", "user.name" = "sales", "source.ip" = "203.0.113.9" })]
    expect = []
  }
  test "an invalid session is no unknown account" {
    parser = "payment_portal"
    log    = join("\n", [for i in range(20) : "2026-01-12T10:${10 + i}:00Z,bob,1,9,203.0.113.9"])
    expect = [{ at = "+19m", key = ["bob"] }]
  }
  test "a forgotten password" {
    events = [for i in range(12) : login_failed("+${i * 2}m", "bob", "198.51.100.7")]
    expect = []
  }
}

rule "auth.distributed" {
  title           = "Failed logins of ${key} from ${distinct(source.ip)} addresses"
  description     = "Failed logins of one existing account from five or more addresses within an hour: guessing spread over many machines."
  severity        = "medium"
  attack          = ["T1110.001"]
  tags            = ["login", "failures"]
  false_positives = ["a user on a mobile network whose address changes with each try"]
  runbook         = "Compare the networks of the addresses: one mobile operator is a person, many hosting companies are not. Warn the user; blocking single addresses does not help."
  when            = failed && !unknown_account
  by              = [[gatebook.user.key]]
  window          = "1h"
  fire            = distinct(source.ip) >= 5 && count() >= 8
  quiet           = "12h"

  except "names_guessed_everywhere" {
    when   = event.dataset == "linux.auth" && contains(list.scanned_accounts, user.name)
    reason = "every machine on the internet is asked for these; auth.bruteforce counts them by address"
  }

  test "eight addresses in turn" {
    events = [for i in range(8) : login_failed("+${i * 5}m", "bob", "203.0.113.${i + 1}")]
    expect = [{ at = "+35m", key = ["bob"] }]
  }
  test "phone, laptop and home" {
    events = [for i in range(8) : login_failed("+${i * 5}m", "bob", "203.0.113.${i % 3 + 1}")]
    expect = []
  }
}

rule "auth.stuffing" {
  title           = "Failed logins of ${distinct(user.name)} users from ${key}"
  description     = "One address tries ten or more accounts within ten minutes, and hardly any of them gets in: lists of stolen passwords. Dictionaries of names at sshd are left to auth.bruteforce."
  severity        = "medium"
  attack          = ["T1110.004"]
  tags            = ["login", "failures"]
  false_positives = ["a large office behind one address while the directory does not answer"]
  runbook         = "Block the address. List the accounts that got in from it in the same hour: reset their passwords, end their sessions."
  when            = ok || failed && !(event.dataset == "linux.auth" && unknown_account)
  by              = [[source.ip]]
  window          = "10m"
  fire            = distinct(user.name) >= 10 && ratio(failed) > 0.8
  quiet           = "6h"

  test "twelve accounts in two minutes" {
    events = [for i in range(12) : login_failed("+${i * 10}s", "u${i}", "203.0.113.9")]
    expect = [{ at = "+90s", key = ["203.0.113.9"] }]
  }
  test "rows of the payment portal" {
    parser = "payment_portal"
    log    = join("\n", [for i in range(10) : "2026-01-12T03:00:${10 + i}Z,user${i},1,5,203.0.113.201,Harbour Books"])
    expect = [{ at = "+9s", key = ["203.0.113.201"] }]
  }
  test "an office behind one address" {
    events = [for i in range(40) : i % 3 == 0 ? login_failed("+${i}s", "u${i}", "198.51.100.7") : login_ok("+${i}s", "u${i}", "198.51.100.7")]
    expect = []
  }
  test "a dictionary of names at sshd" {
    parser = "linux_auth"
    log    = join("\n", [for i in range(15) : "2026-01-12T10:00:${10 + i}Z web01 sshd[${100 + i}]: Failed password for invalid user name${i} from 203.0.113.9 port 5022 ssh2"])
    expect = []
  }
}

rule "auth.spraying" {
  title           = "Password spraying over ${distinct(user.name)} users from ${key}"
  description     = "One address tries five or more existing accounts within an hour, each once or twice, and none gets in: a few common passwords over all accounts."
  severity        = "medium"
  attack          = ["T1110.003"]
  tags            = ["login", "failures"]
  false_positives = ["a small office whose directory does not answer"]
  runbook         = "Block the address. Look for a success from its network within the next days; ask for second factors on the accounts that were tried."
  when            = ok || failed && !unknown_account
  by              = [[source.ip]]
  window          = "1h"
  fire            = distinct(user.name) >= 5 && ratio(failed) > 0.9 && count() <= 2 * distinct(user.name)
  quiet           = "12h"

  test "six accounts, one try each" {
    events = [for i in range(6) : login_failed("+${i * 5}m", "u${i}", "198.51.100.77")]
    expect = [{ at = "+20m", key = ["198.51.100.77"] }]
  }
  test "a shared address with typos" {
    events = [for i in range(12) : i % 2 == 0 ? login_failed("+${i * 150}s", "u${i}", "198.51.100.7") : login_ok("+${i * 150}s", "u${i - 1}", "198.51.100.7")]
    expect = []
  }
  test "scanners that know no account" {
    parser = "linux_auth"
    log    = join("\n", [for i in range(8) : "2026-01-12T10:00:${10 + i}Z web01 sshd[${100 + i}]: Failed password for invalid user name${i} from 203.0.113.9 port 5022 ssh2"])
    expect = []
  }
}

rule "auth.failures_then_success" {
  title           = "Login of ${key} after five failures"
  description     = "Five failed logins of a user within a quarter of an hour, and then one that succeeded, with or without a second factor."
  severity        = "medium"
  attack          = ["T1110.001", "T1078"]
  tags            = ["login", "compromise"]
  false_positives = ["a forgotten password that came back"]
  runbook         = "Compare address and user agent of the success with earlier logins of the user. Where they are new, call the user; if it was not them, reset the password and end the sessions."
  by              = [[gatebook.user.key]]
  quiet           = "6h"

  sequence {
    within = "15m"
    step "wrong" {
      when  = failed
      times = 5
    }
    step "right" { when = ok }
  }

  test "five and then in" {
    events = concat([for i in range(5) : login_failed("+${i}m", "bob", "203.0.113.9")], [login_ok("+5m", "bob", "203.0.113.10")])
    expect = [{ at = "+5m", key = ["bob"] }]
  }
  test "lines of sshd" {
    parser = "linux_auth"
    log    = join("\n", [for i in range(5) : "2026-01-12T10:00:${10 + i}Z web01 sshd[71]: Failed password for ops from 203.0.113.9 port 5022 ssh2"], ["2026-01-12T10:01:10Z web01 sshd[72]: Accepted password for ops from 203.0.113.9 port 5023 ssh2"])
    expect = [{ at = "+60s", key = ["web01/ops"] }]
  }
  test "rows of the payment portal, with a second factor" {
    parser = "payment_portal"
    log    = <<-EOT
      2026-01-12T10:00:00Z,bob,1,5,203.0.113.9,Acme
      2026-01-12T10:01:00Z,bob,1,5,203.0.113.9,Acme
      2026-01-12T10:02:00Z,bob,1,5,203.0.113.9,Acme
      2026-01-12T10:03:00Z,bob,1,5,203.0.113.9,Acme
      2026-01-12T10:04:00Z,bob,1,5,203.0.113.9,Acme
      2026-01-12T10:05:00Z,bob,1,25,203.0.113.9,Acme
      2026-01-12T10:05:20Z,bob,1,21,203.0.113.9,Acme
    EOT
    expect = [{ at = "+320s", key = ["acme/bob"] }]
  }
  test "three typos" {
    events = concat([for i in range(3) : login_failed("+${i}m", "bob", "203.0.113.9")], [login_ok("+3m", "bob", "203.0.113.9")])
    expect = []
  }
  test "somebody else of the office gets in" {
    events = concat([for i in range(5) : login_failed("+${i}m", "bob", "198.51.100.7")], [login_ok("+5m", "eve", "198.51.100.7")])
    expect = []
  }
}

rule "auth.bruteforce_success" {
  title           = "Login succeeded after ${count(failed)} failures: ${key}"
  description     = "A login that succeeded among fifteen or more failures within an hour, nine of ten attempts having failed: of one user, or from one address over any users."
  severity        = "high"
  attack          = ["T1110", "T1078"]
  tags            = ["login", "compromise"]
  false_positives = ["a job with an old password that was put right"]
  runbook         = "Treat the account as taken over until the user says otherwise: end its sessions, reset the password, look at what it did since, block the address."
  when            = failed || ok
  by              = [[gatebook.user.key], [source.ip]]
  window          = "1h"
  fire            = event.outcome == "success" && count(failed) >= 15 && ratio(failed) > 0.9
  quiet           = "12h"

  test "guessed" {
    events = concat([for i in range(20) : login_failed("+${i}m", "bob", "203.0.113.9")], [login_ok("+20m", "bob", "203.0.113.9")])
    expect = [for k in [["bob"], ["203.0.113.9"]] : { at = "+20m", key = k }]
  }
  test "one of many accounts gives in" {
    events = concat([for i in range(20) : login_failed("+${i}m", "u${i}", "203.0.113.9")], [login_ok("+20m", "u99", "203.0.113.9")])
    expect = [{ at = "+20m", key = ["203.0.113.9"] }]
  }
  test "lines of sshd" {
    parser = "linux_auth"
    log    = <<-EOT
      2026-01-12T02:41:00Z web02 sshd[71]: Failed password for ops from 203.0.113.66 port 5022 ssh2
      2026-01-12T02:47:00Z web02 sshd[71]: message repeated 40 times: [ Failed password for ops from 203.0.113.66 port 5022 ssh2]
      2026-01-12T02:48:00Z web02 sshd[72]: Accepted password for ops from 203.0.113.66 port 5023 ssh2
    EOT
    expect = [for k in [["web02/ops"], ["203.0.113.66"]] : { at = "+7m", key = k }]
  }
  test "rows of the auth service" {
    parser = "auth_service"
    log    = join("\n", [for i in range(15) : "{\"eventType\":\"login_failed\",\"createdOn\":\"2026-01-12T10:00:${10 + i}Z\",\"email\":\"kate@example.com\",\"username\":\"kate\",\"ipAddress\":\"203.0.113.18\",\"tenant\":\"example\"}"], ["{\"eventType\":\"login\",\"createdOn\":\"2026-01-12T10:01:10Z\",\"email\":\"kate@example.com\",\"username\":\"kate\",\"ipAddress\":\"203.0.113.18\",\"tenant\":\"example\"}"])
    expect = [for k in [["example/kate"], ["203.0.113.18"]] : { at = "+60s", key = k }]
  }
  test "a shared address on a Monday morning" {
    events = [for i in range(40) : i % 2 == 0 ? login_failed("+${i * 30}s", "u${i}", "198.51.100.7") : login_ok("+${i * 30}s", "u${i - 1}", "198.51.100.7")]
    expect = []
  }
  test "a forgotten password" {
    events = concat([for i in range(8) : login_failed("+${i}m", "bob", "198.51.100.7")], [login_ok("+9m", "bob", "198.51.100.7")])
    expect = []
  }
}

rule "auth.keys_only_guessing" {
  title           = "${distinct([host.name, process.pid])} connections that never logged in, from ${key}"
  description     = "Ten failed connections of one address within 15 minutes, by host and process. A server that takes keys only writes no failed login; guessing shows only in what sshd says around it."
  severity        = "low"
  attack          = ["T1110.001"]
  tags            = ["login", "failures", "extra"]
  false_positives = ["an old client without a key that retries"]
  runbook         = "Nothing got in: passwords are not taken. Block the address where it fills the log; where it is your own, put the key in place."
  when            = event.dataset == "linux.auth" && event.outcome == "failure" && (event.action == "login" || event.action == "login-detail") && !contains(list.scanners, source.ip)
  by              = [[source.ip]]
  window          = "15m"
  fire            = distinct([host.name, process.pid]) >= 10
  quiet           = "6h"

  test "names without end" {
    parser = "linux_auth"
    log    = join("\n", [for i in range(12) : "2026-01-12T10:00:${10 + i}Z web01 sshd[${200 + i}]: Invalid user name${i} from 203.0.113.9 port 5022"])
    expect = [{ at = "+9s", key = ["203.0.113.9"] }]
  }
  test "one connection of many lines" {
    parser = "linux_auth"
    log    = join("\n", [for i in range(12) : "2026-01-12T10:00:${10 + i}Z web01 sshd[200]: Failed publickey for ops from 198.51.100.7 port 5022 ssh2: ED25519 SHA256:abc"])
    expect = []
  }
}

rule "auth.failures_steady" {
  title           = "Failed logins of ${key} around the clock"
  description     = "Failed logins of one existing account in 18 or more different hours of a day: no person, a machine that keeps on trying."
  severity        = "low"
  attack          = ["T1110.001"]
  tags            = ["login", "failures"]
  false_positives = ["a device or job that keeps an old password"]
  runbook         = "Find the device by its address and user agent. An unknown address outside: see auth.bruteforce_slow."
  when            = failed && !unknown_account
  by              = [[gatebook.user.key]]
  window          = "24h"
  fire            = distinct(hour()) >= 18
  quiet           = "24h"

  except "names_guessed_everywhere" {
    when   = event.dataset == "linux.auth" && contains(list.scanned_accounts, user.name)
    reason = "every machine on the internet is asked for these; auth.bruteforce counts them by address"
  }

  test "every hour" {
    events = [for i in range(19) : login_failed("+${i}h", "bob", "203.0.113.9")]
    expect = [{ at = "+17h", key = ["bob"] }]
  }
  test "a long day of typos" {
    events = [for i in range(26) : login_failed("+${i * 30}m", "bob", "198.51.100.7")]
    expect = []
  }
}

rule "auth.failures_regular" {
  title           = "Failed logins of ${key} at the same hour of ${distinct(weekday())} days"
  description     = "Failed logins of one existing account on five or more days of a week, all within the same two hours of the day: something that runs by the clock."
  severity        = "low"
  attack          = ["T1110.001"]
  tags            = ["login", "failures"]
  false_positives = ["a nightly job with an old password", "somebody who mistypes the password every morning"]
  runbook         = "Look at what starts at that hour at the address. Where nothing of yours does, block it."
  when            = failed && !unknown_account
  by              = [[gatebook.user.key]]
  window          = "7d"
  fire            = distinct(weekday()) >= 5 && distinct(hour()) <= 2
  quiet           = "24h"

  except "names_guessed_everywhere" {
    when   = event.dataset == "linux.auth" && contains(list.scanned_accounts, user.name)
    reason = "every machine on the internet is asked for these; auth.bruteforce counts them by address"
  }

  test "every night" {
    events = [for i in range(5) : login_failed("+${i * 24}h", "bob", "203.0.113.9")]
    expect = [{ at = "+96h", key = ["bob"] }]
  }
  test "typos at all hours" {
    events = [for i in range(6) : login_failed("+${i * 27}h", "bob", "198.51.100.7")]
    expect = []
  }
}

rule "auth.failure_spike" {
  title           = "${count()} failed logins within ten minutes at ${key}"
  description     = "More than three times the failed logins that this source has at its worst at this hour of the day, and at least fifty. Says nothing before two weeks are known."
  severity        = "medium"
  attack          = ["T1110"]
  tags            = ["login", "failures", "baseline"]
  false_positives = ["the directory does not answer", "all passwords expire on the same day"]
  runbook         = "See whether few addresses (block them), few accounts (auth.distributed) or all of them fail: the last is an outage."
  when            = failed
  by              = [[event.dataset]]
  window          = "10m"
  fire            = count() >= 50 && count() > 3 * baseline("hour-of-day", "28d", 0.99)
  quiet           = "6h"

  test "after three weeks of a few a day" {
    events = concat([for i in range(21) : event("+${i * 24}h", { "event.action" = "login", "event.outcome" = "failure", "event.dataset" = "auth_service.event", "user.name" = "u${i}" })],
    [for i in range(55) : event("+${21 * 24 * 3600 + i * 2}s", { "event.action" = "login", "event.outcome" = "failure", "event.dataset" = "auth_service.event", "user.name" = "v${i}" })])
    expect = [{ at = "+${21 * 24 * 3600 + 98}s", key = ["gatebook.auth_service.event"] }]
  }
  test "nothing is known yet" {
    events = [for i in range(60) : event("+${i}s", { "event.action" = "login", "event.outcome" = "failure", "event.dataset" = "auth_service.event", "user.name" = "v${i}" })]
    expect = []
  }
}

rule "auth.failures_sustained" {
  title           = "${count(failed)} of ${count()} logins failed within an hour at ${key}"
  description     = "More failed than successful logins over an hour, and at least three hundred of them: an attack that goes on. sshd's background of names that everybody is asked for is left out."
  severity        = "low"
  attack          = ["T1110"]
  tags            = ["login", "failures"]
  false_positives = ["a service that logs only failures"]
  runbook         = "Take the ten addresses with most failures (gatebook query 'top 10 source ips of failed logins yesterday') and block them; consider a limit of attempts at the application."
  when            = ok || failed && !(event.dataset == "linux.auth" && (unknown_account || contains(list.scanned_accounts, user.name)))
  by              = [[event.dataset]]
  window          = "1h"
  fire            = event.outcome == "failure" && count(failed) >= 300 && ratio(failed) > 0.5
  quiet           = "24h"

  test "an attack that goes on" {
    events = [for i in range(310) : event("+${i * 10}s", { "event.action" = "login", "event.outcome" = "failure", "event.dataset" = "auth_service.event", "user.name" = "u${i % 50}" })]
    expect = [{ at = "+2990s", key = ["gatebook.auth_service.event"] }]
  }
  test "a busy hour" {
    events = [for i in range(640) : event("+${i * 5}s", { "event.action" = "login", "event.outcome" = i % 2 == 0 ? "success" : "failure", "event.dataset" = "auth_service.event", "user.name" = "u${i % 50}" })]
    expect = []
  }
}

# Accounts and addresses that are not let in.

rule "auth.disabled_account" {
  title           = "Login with a disabled account: ${key}"
  description     = "Somebody tries a user or merchant account that is disabled, expired or suspended."
  severity        = "medium"
  attack          = ["T1078"]
  tags            = ["login", "accounts"]
  false_positives = ["a job or phone of somebody who left"]
  runbook         = "Ask who still has the password: a former employee, or a list of stolen ones. Remove what still tries; where it comes from an unknown address, look at what else the address tried."
  when            = event.action == "login" && event.outcome == "failure" && (gatebook.status.code == 10 || gatebook.status.code == 11 || contains(list.disabled_account_reasons, lower(event.reason)))
  by              = [[gatebook.user.key]]
  quiet           = "24h"

  test "user and merchant of the payment portal" {
    parser = "payment_portal"
    log    = <<-EOT
      2026-01-12T10:00:00Z,bob,1,10,203.0.113.9,Acme
      2026-01-12T10:01:00Z,eve,1,11,203.0.113.9,Umbra
    EOT
    expect = [{ at = "+0s", key = ["acme/bob"] }, { at = "+1m", key = ["umbra/eve"] }]
  }
  test "Keycloak says so in its error" {
    events = [event("+0s", { "event.action" = "login", "event.outcome" = "failure", "event.reason" = "user_disabled", "user.name" = "bob", "source.ip" = "203.0.113.9" })]
    expect = [{ at = "+0s", key = ["bob"] }]
  }
  test "other refusals" {
    parser = "payment_portal"
    log    = <<-EOT
      2026-01-12T10:00:00Z,bob,1,5,203.0.113.9,Acme
      2026-01-12T10:01:00Z,bob,1,9,203.0.113.9,Acme
      2026-01-12T10:02:00Z,bob,1,16,203.0.113.9,Acme
    EOT
    expect = []
  }
}

rule "auth.ip_restriction" {
  title           = "Login from an address that is not allowed: ${key}"
  description     = "A login was refused because its address is not among those that the account may come from."
  severity        = "medium"
  attack          = ["T1078"]
  tags            = ["login", "address"]
  false_positives = ["an employee at home or on a new line"]
  runbook         = "The password may have been right. Ask the user; if it was not them, reset the password."
  when            = event.outcome == "failure" && (event.action == "login" || event.action == "login-detail" || event.action == "download" || event.action == "upload" || event.action == "request") && (gatebook.status.code == 12 || contains(list.address_refused_reasons, lower(event.reason)))
  by              = [[gatebook.user.key]]
  quiet           = "12h"

  test "status 12 of the payment portal" {
    parser = "payment_portal"
    log    = "2026-01-12T10:00:00Z,bob,1,12,203.0.113.9"
    expect = [{ at = "+0s", key = ["bob"] }]
  }
  test "a key that may not come from there" {
    parser = "linux_auth"
    log    = "2026-01-12T10:00:00Z web01 sshd[71]: Authentication tried for ops with correct key but not from a permitted host (host=203.0.113.9, ip=203.0.113.9)."
    expect = [{ at = "+0s", key = ["web01/ops"] }]
  }
  test "a wrong password from anywhere" {
    parser = "payment_portal"
    log    = "2026-01-12T10:00:00Z,bob,1,5,203.0.113.9"
    expect = []
  }
}
