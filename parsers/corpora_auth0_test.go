package parsers

import (
	"strings"

	"github.com/tidwall/gjson"
)

// auth0Corpus: the log events of a tenant, and what Elastic's pipeline makes of them.
var auth0Corpus = corpusPackage{
	name:   "auth0",
	parser: "auth0",
	// Operations of the API have one word there; ours goes by method and resource (detail).
	actions: map[string]string{
		"successful-login":                                    "login",
		"failed-login":                                        "login",
		"incorrect-password":                                  "login",
		"invalid-username-or-email":                           "login",
		"user-logout-successful":                              "logout",
		"success-signup":                                      "user-create",
		"user-signup-failed":                                  "user-create",
		"sent-verification-email":                             "user-update",
		"failed-to-send-email-notification":                   "notification-send",
		"guardian-tenant-update":                              "config-change",
		"success-exchange-auth-code-for-access-token":         "token-issue",
		"success-exchange-access-token-for-client-cred-grant": "login",
		"success-mgmt-api-op-secrets-returned":                "request",
		"success-mgmt-api-op post users":                      "user-create",
		"success-mgmt-api-op post users/ID/roles":             "role-grant",
		"success-mgmt-api-op post roles":                      "create",
		"success-mgmt-api-op patch roles":                     "update",
		"success-mgmt-api-op post clients":                    "create",
		"success-mgmt-api-op patch clients":                   "update",
		"success-mgmt-api-op delete clients":                  "delete",
		"success-mgmt-api-op post client-grants":              "grant-create",
		"success-mgmt-api-op post connections":                "create",
		"success-mgmt-api-op patch connections":               "update",
		"success-mgmt-api-op post log-streams":                "create",
		"success-mgmt-api-op patch log-streams":               "update",
		"success-mgmt-api-op delete log-streams":              "delete",
		"success-mgmt-api-op patch tenants":                   "update",
		"success-mgmt-api-op post organizations":              "group-create",
	},
	mapped: map[string]string{
		"event.id":                                          "labels.log_id",
		"auth0.logs.data.client_id":                         "gatebook.client.id",
		"auth0.logs.data.client_name":                       "gatebook.client.name",
		"auth0.logs.data.connection":                        "gatebook.provider.name",
		"auth0.logs.data.connection_id":                     "gatebook.provider.id",
		"auth0.logs.data.date":                              "@timestamp",
		"auth0.logs.data.hostname":                          "labels.hostname",
		"auth0.logs.data.audience":                          "labels.audience",
		"auth0.logs.data.is_mobile":                         "labels.isMobile",
		"auth0.logs.data.strategy":                          "labels.strategy",
		"auth0.logs.data.strategy_type":                     "labels.strategy_type",
		"auth0.logs.data.tenant_name":                       "organization.name",
		"auth0.logs.data.details.session_id":                "gatebook.session.id",
		"auth0.logs.data.details.return_to":                 "labels.details_return_to",
		"auth0.logs.data.details.to":                        "email.to.address",
		"auth0.logs.data.details.request.method":            "http.request.method",
		"auth0.logs.data.details.request.path":              "url.path",
		"auth0.logs.data.details.response.statusCode":       "http.response.status_code",
		"auth0.logs.data.details.request.auth.user.user_id": "user.id",
		"auth0.logs.data.details.request.auth.user.email":   "user.email",
	},
	left: map[string]string{
		"ecs.version":                    "version of the schema, not of the source",
		"event.kind":                     "the same for all; the encoder writes it",
		"event.category":                 "ours follows from our action",
		"event.type":                     "ours follows from our action",
		"event.original":                 "the pipeline sets it, not the parser",
		"log.level":                      "made up there from the type; the line has no level",
		"related.*":                      "made later from the other fields",
		"tags":                           "their test's own",
		"network.type":                   "not in our table: follows from source.ip",
		"source.geo.*":                   "from a GeoIP database: enrichment",
		"source.as.*":                    "from a GeoIP database: enrichment",
		"user_agent.name":                "worked out from user_agent.original: enrichment",
		"user_agent.version":             "worked out from user_agent.original: enrichment",
		"user_agent.os.*":                "worked out from user_agent.original: enrichment",
		"user_agent.device.*":            "worked out from user_agent.original: enrichment",
		"auth0.logs.data.type":           "their words for the type code; ours is event.code, and the start of message",
		"auth0.logs.data.classification": "their grouping of the type codes; not in the line",
		"auth0.logs.data.description":    "ours is the end of message, and event.reason of failures",
		"auth0.logs.data.scope":          "a text there, a list of scopes here: golden case scopes",
		"auth0.logs.data.login.*":        "their pipeline repeats details there, times converted",
		"auth0.logs.data.details.*":      "arbitrary members: ours are labels by path, gatebook.new and gatebook.changes, tested by the golden cases",
	},
	wrong: func(d *corpusDifference) string {
		data := gjson.Get(d.line, "data")
		status := data.Get("details.response.statusCode").Int()
		switch {
		case d.field != "event.outcome" || d.want[0] != "unknown":
			return ""
		case data.Get("type").Str == "ss":
			return "the type is a signup that worked, by its name there as well (success-signup)"
		case status >= 200 && status < 300:
			return "the line has an answer of status 2xx"
		}
		return ""
	},
	detail: func(word, line string) string {
		if word != "success-mgmt-api-op" {
			return ""
		}
		request := gjson.Get(line, "data.details.request")
		resource, rest, _ := strings.Cut(strings.TrimPrefix(request.Get("path").Str, "/api/v2/"), "/")
		if _, part, ok := strings.Cut(rest, "/"); ok {
			resource += "/ID/" + part
		}
		return " " + request.Get("method").Str + " " + resource
	},
}
