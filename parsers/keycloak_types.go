package parsers

import (
	"strings"

	"github.com/gatebook/gatebook/event"
)

// keycloakTypes is the action of each type of event. The same type with _ERROR is its failure. One attempt to log in is one event:
// LOGIN, LOGIN_ERROR, and CLIENT_LOGIN of a service account.
var keycloakTypes = map[string]event.Action{
	"LOGIN":        event.Login,
	"CLIENT_LOGIN": event.Login,
	"LOGOUT":       event.Logout,

	"IDENTITY_PROVIDER_LOGIN":             event.LoginDetail,
	"IDENTITY_PROVIDER_FIRST_LOGIN":       event.LoginDetail,
	"IDENTITY_PROVIDER_POST_LOGIN":        event.LoginDetail,
	"IDENTITY_PROVIDER_RESPONSE":          event.LoginDetail,
	"INVALID_SIGNATURE":                   event.LoginDetail,
	"RESTART_AUTHENTICATION":              event.LoginDetail,
	"CUSTOM_REQUIRED_ACTION":              event.LoginDetail,
	"EXECUTE_ACTIONS":                     event.LoginDetail,
	"EXECUTE_ACTION_TOKEN":                event.LoginDetail,
	"OAUTH2_DEVICE_AUTH":                  event.LoginDetail,
	"OAUTH2_DEVICE_VERIFY_USER_CODE":      event.LoginDetail,
	"PUSHED_AUTHORIZATION_REQUEST":        event.LoginDetail,
	"REMEMBER_ME":                         event.LoginDetail,
	"CODE_TO_TOKEN":                       event.TokenIssue,
	"REFRESH_TOKEN":                       event.TokenIssue,
	"TOKEN_EXCHANGE":                      event.TokenIssue,
	"PERMISSION_TOKEN":                    event.TokenIssue,
	"OAUTH2_DEVICE_CODE_TO_TOKEN":         event.TokenIssue,
	"OAUTH2_EXTENSION_GRANT":              event.TokenIssue,
	"AUTHREQID_TO_TOKEN":                  event.TokenIssue,
	"JWT_AUTHORIZATION_GRANT":             event.TokenIssue,
	"IDENTITY_PROVIDER_RETRIEVE_TOKEN":    event.TokenIssue,
	"INTROSPECT_TOKEN":                    event.Request,
	"VALIDATE_ACCESS_TOKEN":               event.Request,
	"USER_INFO_REQUEST":                   event.Request,
	"CLIENT_INFO":                         event.Request,
	"VERIFIABLE_CREDENTIAL_REQUEST":       event.Request,
	"VERIFIABLE_CREDENTIAL_OFFER_REQUEST": event.Request,

	"REGISTER":                           event.UserCreate,
	"DELETE_ACCOUNT":                     event.UserDelete,
	"UPDATE_EMAIL":                       event.UserUpdate,
	"UPDATE_PROFILE":                     event.UserUpdate,
	"VERIFY_EMAIL":                       event.UserUpdate,
	"VERIFY_PROFILE":                     event.UserUpdate,
	"UPDATE_CREDENTIAL":                  event.UserUpdate, // the kind of credential says more
	"REMOVE_CREDENTIAL":                  event.UserUpdate,
	"FEDERATED_IDENTITY_LINK":            event.UserUpdate,
	"FEDERATED_IDENTITY_OVERRIDE_LINK":   event.UserUpdate,
	"REMOVE_FEDERATED_IDENTITY":          event.UserUpdate,
	"IDENTITY_PROVIDER_LINK_ACCOUNT":     event.UserUpdate,
	"CLIENT_INITIATED_ACCOUNT_LINKING":   event.UserUpdate,
	"UPDATE_PASSWORD":                    event.PasswordChange,
	"SEND_RESET_PASSWORD":                event.PasswordResetRequest,
	"RESET_PASSWORD":                     event.PasswordReset,
	"UPDATE_TOTP":                        event.MFAEnroll,
	"REMOVE_TOTP":                        event.MFADisable,
	"GRANT_CONSENT":                      event.GrantCreate,
	"UPDATE_CONSENT":                     event.GrantCreate,
	"REVOKE_GRANT":                       event.GrantRevoke,
	"USER_DISABLED_BY_PERMANENT_LOCKOUT": event.AccountLock,
	"USER_DISABLED_BY_TEMPORARY_LOCKOUT": event.AccountLock,
	"SEND_VERIFY_EMAIL":                  event.NotificationSend,
	"SEND_IDENTITY_PROVIDER_LINK":        event.NotificationSend,
	"INVITE_ORG":                         event.NotificationSend,
	"IMPERSONATE":                        event.PrivilegeUse,
	"USER_SESSION_DELETED":               event.SessionEnd,

	"CLIENT_REGISTER": event.Create,
	"CLIENT_UPDATE":   event.Update,
	"CLIENT_DELETE":   event.Delete,
	"REGISTER_NODE":   event.Create,
	"UNREGISTER_NODE": event.Delete,
}

// keycloakVerbs are what an administrator can do to anything.
var keycloakVerbs = map[string]event.Action{
	"CREATE": event.Create, "UPDATE": event.Update, "DELETE": event.Delete, "ACTION": event.ConfigChange,
}

// keycloakOperations are what is more than that: by operation and type of resource.
var keycloakOperations = map[[2]string]event.Action{
	{"CREATE", "USER"}: event.UserCreate,
	{"UPDATE", "USER"}: event.UserUpdate,
	{"DELETE", "USER"}: event.UserDelete,
	{"ACTION", "USER"}: event.UserUpdate,

	{"CREATE", "GROUP"}:            event.GroupCreate,
	{"UPDATE", "GROUP"}:            event.GroupUpdate,
	{"DELETE", "GROUP"}:            event.GroupDelete,
	{"CREATE", "GROUP_MEMBERSHIP"}: event.GroupMemberAdd,
	{"DELETE", "GROUP_MEMBERSHIP"}: event.GroupMemberRemove,

	{"CREATE", "ORGANIZATION"}:            event.GroupCreate,
	{"UPDATE", "ORGANIZATION"}:            event.GroupUpdate,
	{"DELETE", "ORGANIZATION"}:            event.GroupDelete,
	{"CREATE", "ORGANIZATION_MEMBERSHIP"}: event.GroupMemberAdd,
	{"DELETE", "ORGANIZATION_MEMBERSHIP"}: event.GroupMemberRemove,

	{"CREATE", "REALM_ROLE_MAPPING"}:  event.RoleGrant,
	{"DELETE", "REALM_ROLE_MAPPING"}:  event.RoleRevoke,
	{"CREATE", "CLIENT_ROLE_MAPPING"}: event.RoleGrant,
	{"DELETE", "CLIENT_ROLE_MAPPING"}: event.RoleRevoke,

	{"DELETE", "USER_LOGIN_FAILURE"}: event.AccountUnlock,
	{"ACTION", "USER_LOGIN_FAILURE"}: event.AccountUnlock,
	{"DELETE", "USER_SESSION"}:       event.SessionRevoke,
	{"ACTION", "USER_SESSION"}:       event.SessionRevoke,

	{"CREATE", "CLIENT_INITIAL_ACCESS_MODEL"}: event.GrantCreate,
	{"DELETE", "CLIENT_INITIAL_ACCESS_MODEL"}: event.GrantRevoke,
}

// keycloakActions are the operations that have a name of their own: users/ID/reset-password, logout-all.
var keycloakActions = map[string]event.Action{
	"reset-password":           event.PasswordReset,
	"reset-password-email":     event.PasswordResetRequest,
	"execute-actions-email":    event.NotificationSend,
	"send-verify-email":        event.NotificationSend,
	"logout":                   event.SessionRevoke,
	"logout-all":               event.SessionRevoke,
	"impersonation":            event.PrivilegeUse,
	"remove-totp":              event.MFADisable,
	"disable-credential-types": event.MFADisable,
	"credentials":              event.MFADisable,
	"consents":                 event.GrantRevoke,
	"sync":                     event.JobRun,
}

// keycloakCredential is what changing or removing a kind of credential is; ActionNone where it is none of these.
func keycloakCredential(kind string, removed bool) event.Action {
	switch {
	case kind == "":
		return event.ActionNone
	case kind == "password":
		return event.PasswordChange
	case removed:
		return event.MFADisable
	}
	return event.MFAEnroll
}

// keycloakWords writes CODE_TO_TOKEN as people do: code to token.
func keycloakWords(name string) string {
	return strings.ReplaceAll(strings.ToLower(name), "_", " ")
}
