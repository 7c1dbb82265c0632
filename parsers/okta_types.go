package parsers

import (
	"strings"

	"github.com/gatebook/gatebook/event"
)

// oktaType is what an event type means.
type oktaType struct {
	action  event.Action
	mfa     bool // a second factor was in play
	failure bool // the type itself says so, whatever the result
	admin   bool // done to others, it takes an administrator
}

// oktaTypes are the event types that are known by name. One attempt to log in is one event: user.session.start. What Okta logs
// beside it about the same attempt is login-detail or mfa-verify.
var oktaTypes = func() map[string]oktaType {
	m := map[string]oktaType{}
	add := func(t oktaType, types string) {
		for _, name := range strings.Fields(types) {
			m[name] = t
		}
	}
	plain := func(a event.Action, types string) { add(oktaType{action: a}, types) }
	admin := func(a event.Action, types string) { add(oktaType{action: a, admin: true}, types) }
	mfa := func(a event.Action, types string) { add(oktaType{action: a, mfa: true}, types) }

	plain(event.Login, "user.session.start user.authentication.auth_via_radius user.authentication.auth_via_richclient")
	plain(event.Logout, "user.session.end")
	plain(event.SessionEnd, "user.authentication.slo user.session.impersonation.end")
	plain(event.SessionExpire, "user.session.expire")
	admin(event.SessionRevoke, "user.session.clear user.session.impersonation.revoke user.authentication.universal_logout user.authentication.universal_logout.scheduled")
	admin(event.PrivilegeUse, "user.session.impersonation.grant user.session.impersonation.initiate user.session.impersonation.extend")
	admin(event.Request, "user.session.access_admin_app user.account.access_super_user_app")
	plain(event.LoginDetail, `user.authentication.sso user.authentication.authenticate user.authentication.auth
		user.authentication.auth_via_AD_agent user.authentication.auth_via_LDAP_agent user.authentication.auth_via_IDP
		user.authentication.auth_via_inbound_SAML user.authentication.auth_via_inbound_delauth user.authentication.auth_via_iwa
		user.authentication.auth_via_social user.authentication.auth_unconfigured_identifier user.authentication.dsso_via_non_priority_source
		user.session.context.change user.account.use_token policy.evaluate_sign_on policy.auth_reevaluate.action
		policy.auth_reevaluate.enforce policy.auth_reevaluate.fail app.oauth2.authorize app.oauth2.authorize.code
		app.oauth2.authorize.implicit app.oauth2.authorize.implicit.access_token app.oauth2.authorize.implicit.id_token
		app.oauth2.as.authorize app.oauth2.as.authorize.code app.oauth2.as.authorize.implicit
		app.oauth2.as.authorize.implicit.access_token app.oauth2.as.authorize.implicit.id_token`)
	add(oktaType{action: event.LoginDetail, failure: true}, "app.generic.unauth_app_access_attempt application.policy.sign_on.deny_access")

	mfa(event.MFAVerify, `user.authentication.auth_via_mfa user.authentication.verify user.mfa.okta_verify user.mfa.attempt_bypass
		system.email.challenge_factor_redeemed`)
	add(oktaType{action: event.MFAVerify, mfa: true, failure: true}, "user.mfa.okta_verify.deny_push user.mfa.okta_verify.deny_push_upgrade_needed")
	mfa(event.MFAChallenge, `system.push.send_factor_verify_push system.sms.send_factor_verify_message system.voice.send_mfa_challenge_call
		system.email.send_factor_verify_message system.call.send_factor_verify_call`)
	add(oktaType{event.MFAEnroll, true, false, true}, "user.mfa.factor.activate user.mfa.factor.update user.mfa.factor.preregister user.credential.enroll")
	add(oktaType{event.MFADisable, true, false, true}, "user.mfa.factor.deactivate user.mfa.factor.suspend user.credential.revoke")
	add(oktaType{event.MFAEnable, true, false, true}, "user.mfa.factor.unsuspend")
	add(oktaType{event.MFAReset, true, false, true}, "user.mfa.factor.reset_all")

	admin(event.AccountLock, "user.account.lock user.account.lock.limit")
	admin(event.AccountUnlock, "user.account.unlock user.account.unlock_by_admin user.account.unlock_token")
	admin(event.PasswordChange, "user.account.update_password user.import.password")
	admin(event.PasswordReset, "user.account.reset_password")
	plain(event.PasswordResetRequest, "user.account.forgot_password user.credential.forgot_password")
	admin(event.UserUpdate, `user.account.update_profile user.account.update_primary_email user.account.update_secondary_email
		user.account.update_user_type user.account.update_phone user.account.expire_password user.lifecycle.delete.initiated
		user.lifecycle.jit.error.read_only user.profile.update app.user_management device.user.add device.user.remove
		application.user_membership.update application.user_membership.change_username application.user_membership.change_password
		application.user_membership.provision application.user_membership.deprovision application.user_membership.restore
		application.user_membership.restore_password application.user_membership.revoke`)
	admin(event.UserCreate, "user.lifecycle.create user.registration.create")
	admin(event.UserDelete, "user.lifecycle.delete.completed user.lifecycle.delete")
	admin(event.AccountEnable, "user.lifecycle.activate user.lifecycle.reactivate user.lifecycle.unsuspend")
	admin(event.AccountDisable, "user.lifecycle.deactivate user.lifecycle.suspend")

	admin(event.GroupCreate, "group.lifecycle.create")
	admin(event.GroupDelete, "group.lifecycle.delete")
	admin(event.GroupUpdate, `group.profile.update group.application_assignment.add group.application_assignment.remove
		group.application_assignment.update group.application_assignment.skip_assignment_reconcile`)
	admin(event.GroupMemberAdd, "group.user_membership.add")
	admin(event.GroupMemberRemove, "group.user_membership.remove")
	admin(event.RoleGrant, `user.account.privilege.grant group.privilege.grant application.user_membership.add
		master_application.user_membership.add iam.resourceset.bindings.add`)
	admin(event.RoleRevoke, `user.account.privilege.revoke group.privilege.revoke application.user_membership.remove
		iam.resourceset.bindings.delete`)

	plain(event.TokenIssue, `app.oauth2.token.grant app.oauth2.token.grant.access_token app.oauth2.token.grant.id_token
		app.oauth2.token.grant.refresh_token app.oauth2.as.token.grant app.oauth2.as.token.grant.access_token
		app.oauth2.as.token.grant.id_token app.oauth2.as.token.grant.refresh_token`)
	add(oktaType{action: event.TokenIssue, failure: true}, "app.oauth2.token.detect_reuse app.oauth2.as.token.detect_reuse")
	plain(event.GrantCreate, "app.oauth2.as.consent.grant app.oauth2.consent.grant")
	admin(event.GrantCreate, "system.api_token.create")
	admin(event.GrantRevoke, `system.api_token.revoke app.oauth2.as.consent.revoke app.oauth2.as.consent.revoke.user
		app.oauth2.as.consent.revoke.user.client app.oauth2.as.consent.revoke.implicit.as app.oauth2.as.consent.revoke.implicit.client
		app.oauth2.as.consent.revoke.implicit.scope app.oauth2.as.consent.revoke.implicit.user app.oauth2.token.revoke
		app.oauth2.as.token.revoke app.oauth2.as.token.revoke.access_token app.oauth2.as.token.revoke.refresh_token
		app.oauth2.token.revoke.access_token app.oauth2.token.revoke.refresh_token`)
	plain(event.NotificationSend, `system.sms.send_account_unlock_message system.sms.send_okta_push_verify_message
		system.sms.send_password_reset_message system.sms.send_phone_verification_message system.voice.send_account_unlock_call
		system.voice.send_password_reset_call system.voice.send_phone_verification_call system.email.account_unlock.sent_message
		system.email.password_reset.sent_message system.email.new_device_notification.sent_message
		system.email.mfa_enroll_notification.sent_message system.email.mfa_reset_notification.sent_message
		system.email.password_changed_notification.sent_message system.email.delivery`)
	plain(event.JobRun, "system.import.start system.import.complete system.import.complete_batch")
	add(oktaType{action: event.Request, failure: true}, "security.request.blocked")
	return m
}()

// oktaSettings are the roots of types that are about settings: there the last word says what was done.
var oktaSettings = map[string]bool{
	"application": true, "app": true, "policy": true, "zone": true, "network_zone": true, "system": true, "security": true, "iam": true,
	"device": true, "event_hook": true, "inline_hook": true, "oauth2": true, "group": true, "org": true, "authenticator": true,
}

var oktaVerbs = map[string]event.Action{
	"create": event.Create, "created": event.Create, "add": event.Create,
	"update": event.Update, "updated": event.Update, "overwrite": event.Update,
	"delete": event.Delete, "deleted": event.Delete, "remove": event.Delete,
	"activate": event.Enable, "activated": event.Enable, "enable": event.Enable, "enabled": event.Enable,
	"deactivate": event.Disable, "deactivated": event.Disable, "disable": event.Disable, "disabled": event.Disable,
}

// oktaTypeOf finds a type by its name, else by root and last word: application.lifecycle.create, policy.rule.deactivate. Of others
// nothing is said.
func oktaTypeOf(name string) oktaType {
	if t, ok := oktaTypes[name]; ok {
		return t
	}
	root, _, _ := strings.Cut(name, ".")
	if !oktaSettings[root] {
		return oktaType{}
	}
	action := oktaVerbs[name[strings.LastIndexByte(name, '.')+1:]]
	return oktaType{action: action, admin: action != event.ActionNone}
}
