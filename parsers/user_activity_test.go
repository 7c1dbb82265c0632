package parsers

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gatebook/gatebook/event"
)

// What an event means follows from the words of its name.
func TestEventNames(t *testing.T) {
	f := func(action event.Action, outcome event.Outcome, names ...string) {
		t.Helper()
		for _, name := range names {
			set, _ := wordsIn(name)
			a, o := set.access()
			if a == event.ActionNone {
				a = set.other()
			}
			if a != action || o != outcome {
				t.Errorf("%q: %v %q, want %v %q", name, a, o, action, outcome)
			}
		}
	}
	const ok, failed, open = event.Success, event.Failure, event.Outcome("")
	f(event.Login, ok, "login.success", "LOGIN_SUCCESS", "loginSuccessful", "Successful Login", "user.signed_in.successfully", "auth.success", "auth.login.succeeded")
	f(event.Login, failed, "login.failed", "failed_login", "LoginFailure", "Login Failed", "auth.failed", "authentication.failure", "invalid_credentials",
		"Invalid Password", "login.blocked", "login_denied", "mfa_login_failed")
	f(event.Login, open, "login", "Login", "user.login", "userLogin", "signin", "signed in", "User logged in", "login_attempt", "Login Attempt")
	f(event.LoginDetail, open, "new_device_login", "login.new_device", "Login from unrecognized device", "login.unusual_location", "geographic_anomaly_login",
		"concurrent_sessions", "New Device")
	f(event.LoginDetail, failed, "multiple_failed_logins")
	f(event.Logout, ok, "logout", "user.logged_out", "signOut", "LOGOFF")
	f(event.MFAEnroll, ok, "mfa.setup", "mfa_set_up", "MFASetup", "2fa.enrolled", "TwoFactorSetup", "totp_registered", "mfa.created", "passkey added", "otp.setup")
	f(event.MFAEnroll, failed, "mfa.setup.failed")
	f(event.MFAChange, ok, "mfa.modified", "Mfa Modified", "mfa_changed", "mfaMethodUpdated")
	f(event.MFAEnable, ok, "mfa.enabled", "two_factor_enabled")
	f(event.MFADisable, ok, "mfa.disabled", "mfa_removed", "2FA deactivated")
	f(event.MFAReset, ok, "mfa.reset")
	f(event.MFAChallenge, open, "mfa.challenge", "mfa_required", "MFA Requested")
	f(event.MFAVerify, ok, "mfa.verified", "mfa_verify", "mfa.success", "MFA verification", "login.mfa.verified")
	f(event.MFAVerify, failed, "mfa.failed", "mfa_verification_failed", "MFA expired")
	f(event.OTPRequest, ok, "otp.requested", "OTP Sent", "sendOtp", "otp_code_generated", "One-time password requested")
	f(event.OTPVerify, ok, "otp.verified", "otp_success", "OTPVerified")
	f(event.OTPVerify, failed, "otp.failed", "otp_verification_failed", "otp_invalid", "OTP expired", "one time code rejected")
	f(event.PasswordResetRequest, ok, "password_reset.requested", "Password Reset Requested", "passwordResetRequest", "forgot_password", "password.reset.link.sent",
		"password_reset_initiated", "password_recovery_started")
	f(event.PasswordReset, ok, "password.reset.completed", "password_reset", "PasswordResetSuccess", "Password Reset Completed", "password_reset_complete")
	f(event.PasswordReset, failed, "password_reset_failed", "password.reset.expired")
	f(event.PasswordChange, ok, "password.changed", "change_password", "PasswordUpdated")
	f(event.PasswordChange, failed, "password_change_failed")
	f(event.SessionStart, ok, "session.created", "session_created", "SessionStarted", "Session Creation")
	f(event.SessionEnd, ok, "session.terminated", "Session Termination", "session_ended", "session.closed", "session destroyed", "session_logout")
	f(event.SessionRevoke, ok, "session.revoked", "session_killed")
	f(event.SessionExpire, ok, "session.expired", "Session Expiry", "session_timeout", "session timed out", "sessionIdleTimeout")
	f(event.AccountLock, ok, "account_locked", "lockout", "user.locked_out", "Account Lockout", "lockout.triggered", "mfa_lockout", "locked after failed attempts")
	f(event.AccountUnlock, ok, "account.unlocked", "unlock_user", "Account Unlocked")
	f(event.RoleGrant, ok, "role.granted", "permission_assigned")
	f(event.RoleRevoke, ok, "role.revoked", "role_removed")
	f(event.UserCreate, open, "user.created", "account_registered")
	f(event.AccountDisable, open, "user.deactivated", "account.suspended")
	f(event.ConfigChange, open, "policy.updated", "SettingsChanged")
	f(event.Export, open, "report.exported")
	f(event.ActionNone, open, "", "door.hummed", "MFA", "session", "\xff\xfe", "password", strings.Repeat("login", 20), strings.Repeat("a_", 500))
}

// auto knows these lines as this parser's and leaves those of others alone.
func TestUserActivityLooks(t *testing.T) {
	f := func(want bool, lines ...string) {
		t.Helper()
		for _, l := range lines {
			if got := looksLikeUserActivity(l); got != want {
				t.Errorf("%s: %v", l, got)
			}
		}
	}
	f(true, `{"event":"login.failed","user":"bob"}`, `{"user":{"id":7,"x":[1,"a:b"]},"type":"mfa","action":"verify"}`, `{"Event Type":"Session Expired","Email":"a@example.com"}`,
		"time=2026-01-10T10:00:00Z event=login.failed user=bob", "Date/Time,User,Event,Status,IP Address,Details", "2026-01-10 10:00:00,bob,Login Failed,Failure,203.0.113.9",
		"\ufeffWhen,User,Action")
	f(false, ``, `{`, `{"event":"`, `{"event":"login`, `{"event":"door.hummed","user":"bob"}`, `{"event":"login"}`, `{"msg":"login failed","user":"bob"}`, "level=info msg=started user=bob",
		"time,user,entry,status,ip", "2026-01-10 10:00:00,bob,1,5,203.0.113.9", "a,b,c", "Jan 10 10:00:00 host sshd[1]: Failed password for bob")
}

func userActivityLines(csv bool) []string {
	var lines []string
	if csv {
		lines = append(lines, "Date/Time,User,Event,Status,IP Address,Details")
	}
	for i := range 1000 {
		e := []string{"login.success", "login.failed", "mfa.verified", "session.created", "password_reset.requested"}[i%5]
		if csv {
			lines = append(lines, fmt.Sprintf("2026-01-10 10:%02d:%02d,user%d,%s,Success,203.0.113.%d,", i/60%60, i%60, i, e, i%256))
			continue
		}
		lines = append(lines, fmt.Sprintf(`{"timestamp":"2026-01-10T10:%02d:%02dZ","event":%q,"user":"user%d","email":"user%d@example.com","ip":"203.0.113.%d",`+
			`"user_agent":"Mozilla/5.0 (X11; Linux x86_64)","session_id":"s-%d","device":"dev-1","reason":"as usual"}`, i/60%60, i%60, e, i, i, i%256, i))
	}
	return lines
}

func BenchmarkUserActivityJSON(b *testing.B) {
	benchmarkParser(b, "", "user_activity", userActivityLines(false))
}

func BenchmarkUserActivityCSV(b *testing.B) {
	benchmarkParser(b, "", "user_activity", userActivityLines(true))
}

func BenchmarkUserActivityAuto(b *testing.B) {
	benchmarkParser(b, "", "auto", userActivityLines(false))
}
