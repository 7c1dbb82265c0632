# Gatebook's config. `gatebook check --config FILE` tells every mistake with its line, and the agent
# reads the file again on SIGHUP (systemctl reload gatebook).
#
# Durations are written "250ms", "15m", "30d", "7y"; sizes "64KiB", "2GiB". env("NAME") and
# file("/path") fetch secrets; what they return is never printed.

data_dir  = "/var/lib/gatebook" # buffer, store, positions, dead letters
namespace = "default"           # data streams are logs-gatebook.<dataset>-<namespace>
# timezone = "Europe/Berlin"    # of times that carry no zone; default: this machine's
# agent_name = "web01"          # agent.name; default: this machine's host name
# health = "5m"                 # how often a record of how this Gatebook does is made (dataset agent); 0 for none
# original = true               # keep each line as it came in event.original (after redaction)

# --- what to read -------------------------------------------------------------------------------------

input "file" "auth" {
  paths  = ["/var/log/auth.log", "/var/log/secure"]
  parser = "linux_auth" # or "auto", or the label of a parser block below
  from   = "beginning"  # or "end": skip what is there at the very first start

  # exclude  = ["*.gz"]
  # max_line = "64KiB"        # longer lines are cut there and tagged line-truncated
  # poll     = "250ms"
  # labels   = { site = "berlin" }
  # realm    = "example.com"  # who user names are unique to; default: the host, company or tenant
  # multiline {               # join stack traces: lines that begin with a blank belong to the one before
  #   pattern = "^\\s"
  #   match   = "after"
  # }
}

# input "file" "portal" {
#   paths  = ["/var/log/portal/activity-*.csv"]
#   parser = "payment_portal"
# }

# input "file" "billing" {
#   paths  = ["/var/log/billing/login.json"]
#   parser = "billing"
# }

# input "syslog" "edge" { # docs/syslog.md
#   listen = ["udp://127.0.0.1:5514", "tcp://127.0.0.1:5514", "tls://127.0.0.1:6514"]
#   tls {
#     cert      = "/etc/gatebook/tls/server.pem"
#     key       = "/etc/gatebook/tls/server.key"
#     client_ca = "/etc/gatebook/tls/clients.pem"
#   }
# }

# input "bulk" "fleet" { # Filebeat, Fluent Bit, Vector, other Gatebooks: docs/bulk.md
#   listen = "127.0.0.1:9299"
#   key "web" {
#     api_key  = file("/etc/gatebook/web.key")
#     datasets = ["nginx.*"]
#   }
# }

# input "http" "hooks" { # JSON of webhooks: docs/http.md
#   listen  = "127.0.0.1:9298"
#   api_key = file("/etc/gatebook/hooks.key")
# }

# input "journald" "system" {
#   units = ["ssh.service"]
# }

# --- how to understand it -----------------------------------------------------------------------------
# linux_auth, payment_portal, auth_service, keycloak, nginx and the others of docs/parsers need no block. Any other application is described by a block alone:
# which member of a line is which field (docs/fields.md), how times look, and what its codes mean.

parser "json" "billing" {
  dataset = "billing.login"
  time    = { field = "created_at", layouts = ["rfc3339"] }
  fields = {
    "user.name"            = "login"
    "source.ip"            = "ip"
    "gatebook.status.code" = "state"
  }
  codes = {
    "gatebook.status.code" = {
      "1" = { name = "Active", action = "login", outcome = "success" }
      "5" = { name = "Invalid password", action = "login", outcome = "failure" }
    }
  }
}

# parser "regex" "vpn" {
#   dataset  = "vpn"
#   pattern  = "^(?P<time>\\S+) (?P<user>\\S+) (?P<what>connected|refused) from (?P<ip>\\S+)$"
#   time     = { field = "time", layouts = ["rfc3339"] }
#   fields   = { "user.name" = "user", "source.ip" = "ip", "event.code" = "what" }
#   defaults = { "event.action" = "login" }
#   codes    = { "event.code" = { "connected" = { outcome = "success" }, "refused" = { outcome = "failure" } } }
# }

# --- what to add and what to take away ----------------------------------------------------------------

# geoip {
#   city = "/usr/share/GeoIP/GeoLite2-City.mmdb"
#   asn  = "/usr/share/GeoIP/GeoLite2-ASN.mmdb"
# }

# Passwords, tokens, keys and cookies are always taken out before anything is written; this adds to it.
# redact {
#   keys     = ["customer_pin"]
#   patterns = ["EMP-[0-9]{6}"]
#   hash     = { fields = ["user.email"], key = env("GATEBOOK_HASH_KEY") }
# }

# Ids, e-mail addresses and names that are one user to gatebook.user.key (docs/users.md).
# users {
#   aliases = "users.csv" # columns user, realm, id, email, name
#   alias "jdoe" {
#     emails = ["j.doe@example.com", "john@example.org"]
#   }
# }

# --- what lies between --------------------------------------------------------------------------------

buffer {
  max_bytes = "2GiB"
  on_full   = "block" # or "drop-oldest"
  flush     = "100ms" # longest wait for an fsync under load; at once when idle
}

# --- what is looked for -------------------------------------------------------------------------------
# Rules run here, on the time of the events (docs/rules.md). Their alerts are records like all others, and go to every output.

rules {
  library = true # the shipped detections: gatebook rules list
  # paths   = ["/etc/gatebook/rules.d/*.hcl"] # a site's own; a rule, list or define of the same name takes the place of a shipped one
  # disable = ["mail.bounce_burst"]
  # shadow  = ["auth.spraying"]         # stored and marked, and nobody is told
  # alert   = ["auth.impossible_travel"] # out of the shadow in which it ships for its first 14 days
  # state    = "64MiB" # most memory for windows and sequences
  # lateness = "30s"   # how much later than others of its source a line may come and still be seen in its turn
  # kibana   = "https://kibana.example.com/s/security" # event.url of alerts, and their notifications, lead there to the evidence
  # snapshot = "30s"   # how often the state is made durable; what comes after it is read again after a crash
}

# --- where it goes ------------------------------------------------------------------------------------
# Every output takes `when` (event.outcome == "failure" && event.dataset == "linux.auth"), and either
# required = true (the default: the buffer keeps what it has not taken) or max_lag = "500MiB".

output "store" "local" { # the embedded store: gatebook query
  # retention = { default = "365d", "linux.auth" = "90d" }
}

# output "elasticsearch" "siem" {
#   hosts   = ["https://es1:9200", "https://es2:9200"]
#   api_key = env("ES_API_KEY") # or username and password
#   ca      = "/etc/gatebook/ca.pem"
#   gzip    = true
#   setup   = true # install templates on start; needs more rights than sending
# }

# output "file" "copy" {
#   path = "/var/log/gatebook/events.ndjson" # "-" is standard output
# }

# Who is told of alerts (docs/alerts.md): open and close, from severity high on.
# output "webhook" "pager" {
#   url      = env("PAGER_URL")
#   secret   = file("/etc/gatebook/pager.key") # signs each request
#   template = "slack"                         # or "teams", "default", a file
# }
# output "email" "soc" {
#   server = "smtp.example.org:587"
#   from   = "gatebook@example.org"
#   to     = ["soc@example.org"]
#   digest = "15m" # lesser alerts in one letter
# }
# respond "disable_user" { # what rules of mode "respond" may ask for
#   url     = "https://iam.example.org/hooks/gatebook"
#   target  = "user"
#   never   = ["root", "admin@example.org"]
#   dry_run = true
#   approve = "manual"
# }

# metrics { # Prometheus: http://127.0.0.1:9600/metrics; health: /healthz
#   listen = "127.0.0.1:9600"
# }
