# Background jobs and mail.

rule "job.failed" {
  title           = "Job ${key} failed"
  description     = "A background job failed."
  severity        = "low"
  tags            = ["job"]
  false_positives = ["a failure that the next run puts right"]
  runbook         = "Read error.message and error.stack_trace: a wrong setting, something that passes by itself, or data that cannot be processed?"
  when            = event.action == "job-run" && event.outcome == "failure"
  by              = [[coalesce(gatebook.job.name, gatebook.job.type, process.name)]]
  quiet           = "24h"

  test "mails that could not be sent" {
    parser = "auth_service"
    log    = "{\"jobId\":\"j-2\",\"jobName\":\"digest mails\",\"jobType\":\"email\",\"latestStatus\":\"failed\",\"message\":\"SMTP connect: connection refused\",\"createdAt\":\"2026-01-12T02:00:00Z\",\"updatedAt\":\"2026-01-12T02:00:30Z\"}"
    expect = [{ at = "+0s", key = ["digest mails"] }]
  }
  test "running and done" {
    parser = "auth_service"
    log    = <<-EOT
      {"jobId":"j-2","jobName":"digest mails","jobType":"email","latestStatus":"running","createdAt":"2026-01-12T02:00:00Z","updatedAt":"2026-01-12T02:00:01Z"}
      {"jobId":"j-2","jobName":"digest mails","jobType":"email","latestStatus":"success","createdAt":"2026-01-12T02:00:00Z","updatedAt":"2026-01-12T02:00:30Z"}
    EOT
    expect = []
  }
}

rule "job.failing_repeatedly" {
  title           = "Job ${key} fails again and again"
  description     = "The same job failed twice in a row."
  severity        = "medium"
  tags            = ["job"]
  false_positives = ["a service that is down for a while"]
  runbook         = "It does not pass by itself. Compare the messages of the failures, check the job's settings."
  when            = event.action == "job-run" && (event.outcome == "failure" || event.outcome == "success")
  by              = [[coalesce(gatebook.job.name, gatebook.job.type)]]
  fire            = event.outcome == "failure" && prev.event.outcome == "failure"
  quiet           = "24h"

  test "two nights" {
    parser = "auth_service"
    log    = <<-EOT
      {"jobId":"j-1","jobName":"directory sync","jobType":"sync","latestStatus":"failed","createdAt":"2026-01-12T02:00:00Z","updatedAt":"2026-01-12T02:04:00Z"}
      {"jobId":"j-2","jobName":"directory sync","jobType":"sync","latestStatus":"running","createdAt":"2026-01-13T02:00:00Z","updatedAt":"2026-01-13T02:00:00Z"}
      {"jobId":"j-2","jobName":"directory sync","jobType":"sync","latestStatus":"failed","createdAt":"2026-01-13T02:00:00Z","updatedAt":"2026-01-13T02:04:00Z"}
    EOT
    expect = [{ at = "+24h", key = ["directory sync"] }]
  }
  test "every other night, and another job" {
    parser = "auth_service"
    log    = <<-EOT
      {"jobId":"j-1","jobName":"directory sync","jobType":"sync","latestStatus":"failed","createdAt":"2026-01-12T02:00:00Z","updatedAt":"2026-01-12T02:04:00Z"}
      {"jobId":"j-5","jobName":"digest mails","jobType":"email","latestStatus":"failed","createdAt":"2026-01-12T03:00:00Z","updatedAt":"2026-01-12T03:04:00Z"}
      {"jobId":"j-2","jobName":"directory sync","jobType":"sync","latestStatus":"success","createdAt":"2026-01-13T02:00:00Z","updatedAt":"2026-01-13T02:04:00Z"}
      {"jobId":"j-3","jobName":"directory sync","jobType":"sync","latestStatus":"failed","createdAt":"2026-01-14T02:00:00Z","updatedAt":"2026-01-14T02:04:00Z"}
    EOT
    expect = []
  }
}

rule "job.hung" {
  title           = "Job ${key} runs for more than two hours"
  description     = "A job began to run and within two hours neither succeeded nor failed."
  severity        = "medium"
  tags            = ["job"]
  false_positives = ["a large import or export", "a source that logs only the beginning"]
  runbook         = "Look at its message and the load of the machine; restart it if it hangs."
  by              = [[gatebook.job.id]]

  sequence {
    within = "2h"
    step "running" { when = event.action == "job-run" && gatebook.job.status == "running" }
    without "ended" { when = event.action == "job-run" && (event.outcome == "success" || event.outcome == "failure") }
  }

  test "never heard of again" {
    parser = "auth_service"
    log    = "{\"jobId\":\"j-7\",\"jobName\":\"user import\",\"jobType\":\"import\",\"latestStatus\":\"running\",\"createdAt\":\"2026-01-12T02:00:00Z\",\"updatedAt\":\"2026-01-12T02:00:00Z\"}"
    until  = "+3h"
    expect = [{ at = "+2h", key = ["j-7"] }]
  }
  test "done after an hour" {
    parser = "auth_service"
    log    = <<-EOT
      {"jobId":"j-7","jobName":"user import","jobType":"import","latestStatus":"running","createdAt":"2026-01-12T02:00:00Z","updatedAt":"2026-01-12T02:00:00Z"}
      {"jobId":"j-7","jobName":"user import","jobType":"import","latestStatus":"success","createdAt":"2026-01-12T02:00:00Z","updatedAt":"2026-01-12T03:00:00Z"}
    EOT
    until  = "+3h"
    expect = []
  }
}

rule "job.audit_trim_missing" {
  title           = "The audit log trim job did not succeed for 26 hours"
  description     = "The job that trims the audit log succeeded before and now did not for 26 hours: it failed, is switched off or misconfigured."
  severity        = "medium"
  tags            = ["job", "audit"]
  false_positives = ["a site that trims once a week: change the time in a copy of this rule"]
  runbook         = "Look for failures of the job (job.failed). None: is it switched off, and by whom (admin.audit_touched)?"
  when            = event.action == "job-run" && event.outcome == "success" && matches(gatebook.job.name, "(?i)audit.*trim|trim.*audit")
  expect_every    = "26h"

  test "not last night" {
    parser = "auth_service"
    log    = <<-EOT
      {"jobId":"j-1","jobName":"audit log trim","jobType":"trim","latestStatus":"success","createdAt":"2026-01-12T02:00:00Z","updatedAt":"2026-01-12T02:04:00Z"}
      {"jobId":"j-2","jobName":"audit log trim","jobType":"trim","latestStatus":"failed","createdAt":"2026-01-13T02:00:00Z","updatedAt":"2026-01-13T02:04:00Z"}
    EOT
    until  = "+30h"
    expect = [{ at = "+26h", key = [] }]
  }
  test "every night" {
    parser = "auth_service"
    log    = <<-EOT
      {"jobId":"j-1","jobName":"audit log trim","jobType":"trim","latestStatus":"success","createdAt":"2026-01-12T02:00:00Z","updatedAt":"2026-01-12T02:04:00Z"}
      {"jobId":"j-2","jobName":"audit log trim","jobType":"trim","latestStatus":"success","createdAt":"2026-01-13T02:00:00Z","updatedAt":"2026-01-13T02:05:00Z"}
      {"jobId":"j-3","jobName":"audit log trim","jobType":"trim","latestStatus":"success","createdAt":"2026-01-14T02:00:00Z","updatedAt":"2026-01-14T02:03:00Z"}
    EOT
    until  = "+70h"
    expect = []
  }
}

# --- mail ---

rule "mail.reset_failed" {
  title           = "Password reset mail to ${key} failed"
  description     = "A mail about a password reset could not be delivered: somebody may try accounts or addresses that are not theirs."
  severity        = "low"
  attack          = ["T1589.002"]
  tags            = ["mail", "password"]
  false_positives = ["a full mailbox, a misspelled address"]
  runbook         = "Is the address the user's? Who asked for the reset, and from where? mail.reset_failed_after_request joins the two."
  when            = event.action == "notification-send" && event.outcome == "failure" && (matches(gatebook.notification.category, "(?i)password.?reset|reset.?password") || matches(email.subject, "(?i)(reset|forgot|recover).*password|password.*(reset|recovery)"))
  by              = [[user.target.email]]
  quiet           = "24h"

  test "a row of the auth service" {
    parser = "auth_service"
    log    = "{\"subject\":\"Reset your password\",\"recipient\":\"liam@example.com\",\"timestamp\":\"2026-01-12T10:00:00Z\",\"status\":\"failed\",\"category\":\"password_reset\"}"
    expect = [{ at = "+0s", key = ["liam@example.com"] }]
  }
  test "sent, and an invitation that failed" {
    parser = "auth_service"
    log    = <<-EOT
      {"subject":"Reset your password","recipient":"liam@example.com","timestamp":"2026-01-12T10:00:00Z","status":"sent","category":"password_reset"}
      {"subject":"You are invited","recipient":"mona@example.com","timestamp":"2026-01-12T10:01:00Z","status":"failed","category":"invitation"}
    EOT
    expect = []
  }
}

rule "mail.reset_failed_after_request" {
  title           = "${key} asked for a password reset whose mail failed"
  description     = "Somebody asked for a password reset of an account, and within an hour its mail failed or bounced: often the first step of talking the help desk into another address."
  severity        = "medium"
  attack          = ["T1098"]
  tags            = ["mail", "password"]
  false_positives = ["a full mailbox"]
  runbook         = "Tell the help desk to change nothing of this account without calling the user back. Look at the address that asked."
  by              = [[user.email]]
  quiet           = "24h"

  sequence {
    within = "1h"
    step "asked" { when = event.action == "password-reset-request" || event.action == "password-reset" }
    step "failed_mail" {
      when = event.action == "notification-send" && event.outcome == "failure" && (matches(gatebook.notification.category, "(?i)password.?reset|reset.?password") || matches(email.subject, "(?i)(reset|forgot|recover).*password|password.*(reset|recovery)"))
      by   = [[user.target.email]]
    }
  }

  test "asked, and the mail failed" {
    parser = "auth_service"
    log    = <<-EOT
      {"eventType":"password_reset_requested","createdOn":"2026-01-12T10:00:00Z","email":"liam@example.com","username":"liam","ipAddress":"203.0.113.9"}
      {"subject":"Reset your password","recipient":"liam@example.com","timestamp":"2026-01-12T10:00:02Z","status":"failed","category":"password_reset"}
    EOT
    expect = [{ at = "+2s", key = ["liam@example.com"] }]
  }
  test "somebody else's mail failed" {
    parser = "auth_service"
    log    = <<-EOT
      {"eventType":"password_reset_requested","createdOn":"2026-01-12T10:00:00Z","email":"liam@example.com","username":"liam","ipAddress":"203.0.113.9"}
      {"subject":"Reset your password","recipient":"liam@example.com","timestamp":"2026-01-12T10:00:02Z","status":"sent","category":"password_reset"}
      {"subject":"Reset your password","recipient":"mona@example.com","timestamp":"2026-01-12T10:00:03Z","status":"failed","category":"password_reset"}
    EOT
    expect = []
  }
}

rule "mail.bounce_burst" {
  title           = "${count()} mails bounced within an hour"
  description     = "Ten mails bounced within an hour: mailboxes that do not exist or are full."
  severity        = "low"
  tags            = ["mail"]
  false_positives = ["an import of old addresses"]
  runbook         = "Are they addresses of one import or one sign-up form? Invented ones are somebody's test of the form. Correct or remove the addresses, or the mail server will be blocked by others."
  when            = event.action == "notification-send" && gatebook.notification.status == "bounced"
  by              = [[event.dataset]]
  window          = "1h"
  fire            = count() >= 10
  quiet           = "12h"

  test "ten in ten minutes" {
    parser = "auth_service"
    log    = join("\n", [for i in range(10) : "{\"subject\":\"Welcome\",\"recipient\":\"u${i}@example.com\",\"timestamp\":\"2026-01-12T10:0${i}:00Z\",\"status\":\"bounced\",\"category\":\"welcome\"}"])
    expect = [{ at = "+9m", key = ["gatebook.auth_service.notification"] }]
  }
  test "a few a day" {
    parser = "auth_service"
    log    = join("\n", [for i in range(8) : "{\"subject\":\"Welcome\",\"recipient\":\"u${i}@example.com\",\"timestamp\":\"2026-01-12T1${i}:00:00Z\",\"status\":\"bounced\",\"category\":\"welcome\"}"])
    expect = []
  }
}

rule "mail.failed_burst" {
  title           = "${count()} mails failed within a quarter of an hour"
  description     = "Ten mails failed within 15 minutes: the mail server is away or refuses."
  severity        = "medium"
  tags            = ["mail"]
  false_positives = ["maintenance of the mail server"]
  runbook         = "Check the SMTP settings and that the server answers. Until then nobody gets password resets or alerts."
  when            = event.action == "notification-send" && event.outcome == "failure" && gatebook.notification.status != "bounced"
  by              = [[event.dataset]]
  window          = "15m"
  fire            = count() >= 10
  quiet           = "6h"

  test "ten in ten minutes" {
    parser = "auth_service"
    log    = join("\n", [for i in range(10) : "{\"subject\":\"Welcome\",\"recipient\":\"u${i}@example.com\",\"timestamp\":\"2026-01-12T10:0${i}:00Z\",\"status\":\"failed\",\"category\":\"welcome\"}"])
    expect = [{ at = "+9m", key = ["gatebook.auth_service.notification"] }]
  }
  test "mails that arrive" {
    parser = "auth_service"
    log    = join("\n", [for i in range(10) : "{\"subject\":\"Welcome\",\"recipient\":\"u${i}@example.com\",\"timestamp\":\"2026-01-12T10:0${i}:00Z\",\"status\":\"${i % 4 == 0 ? "failed" : "sent"}\",\"category\":\"welcome\"}"])
    expect = []
  }
}

rule "mail.pending_long" {
  title           = "Mail to ${key} is pending for more than an hour"
  description     = "A mail is pending, and within an hour it is neither sent nor refused."
  severity        = "low"
  tags            = ["mail"]
  false_positives = ["a source that does not log the end"]
  runbook         = "Check the queue of the mail server and that it can reach others."
  by              = [[user.target.email, email.subject]]
  quiet           = "24h"

  sequence {
    within = "1h"
    step "pending" { when = event.action == "notification-send" && gatebook.notification.status == "pending" }
    without "settled" { when = event.action == "notification-send" && (event.outcome == "success" || event.outcome == "failure") }
  }

  test "an hour later still" {
    parser = "auth_service"
    log    = "{\"subject\":\"Maintenance\",\"recipient\":\"bob@example.com\",\"timestamp\":\"2026-01-12T10:00:00Z\",\"status\":\"pending\",\"category\":\"system\"}"
    until  = "+2h"
    expect = [{ at = "+1h", key = ["bob@example.com", "Maintenance"] }]
  }
  test "sent after ten minutes" {
    parser = "auth_service"
    log    = <<-EOT
      {"subject":"Maintenance","recipient":"bob@example.com","timestamp":"2026-01-12T10:00:00Z","status":"pending","category":"system"}
      {"subject":"Maintenance","recipient":"bob@example.com","timestamp":"2026-01-12T10:10:00Z","status":"sent","category":"system"}
    EOT
    until  = "+2h"
    expect = []
  }
}
