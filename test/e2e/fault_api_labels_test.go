package e2e_test

import (
	"encoding/json"
	"net/url"
	"slices"
	"testing"
)

// TestExecuteReturnsAndRecordsLabels runs programs with labels. The answer, the end
// event and the audit log must contain the labels. The test also filters the audit log
// by labels.
func TestExecuteReturnsAndRecordsLabels(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	session := a.openSession(t, object{})
	want := []string{"nightly", "größe 2", `a"b\c`}
	check := func(name string, body []byte) {
		t.Helper()
		var x struct{ Labels []string }
		if err := json.Unmarshal(body, &x); err != nil || !slices.Equal(x.Labels, want) {
			t.Errorf("%s: labels %q, %v", name, x.Labels, err)
		}
	}
	runs := 0
	for name, request := range map[string]object{
		"python":     {"code": "print(1)"},
		"failing":    {"code": "1/0"},
		"javascript": {"code": "console.log(1)", "language": "javascript"},
		"typescript": {"code": "console.log(1)", "language": "typescript"},
		"a session":  {"code": "print(1)", "sessionId": session.ID},
	} {
		request["labels"] = want
		check(name, a.server.call(t, a, "POST", "/api/v1/execute", request).want(t, 200, nil).body)
		check(name+", streamed", a.openStream(t.Context(), t, request).readEnd(t))
		runs += 2
	}
	a.storeEncrypted(t, "report", encryptedProgram{code: "print(1)", password: password})
	check("encrypted", a.server.call(t, a, "POST", "/api/v1/zk/execute/report", object{"masterPassword": password, "labels": want}).want(t, 200, nil).body)
	runs++
	a.run(t, "print('without labels')")
	a.execute(t, object{"code": "print(1)", "labels": []string{"other"}})

	for _, label := range want {
		entries := a.auditLog(t, "limit=3&label="+url.QueryEscape(label))
		if len(entries) != runs {
			t.Errorf("%s: %d entries, want %d", label, len(entries), runs)
		}
		for _, e := range entries {
			if labels, _ := json.Marshal(e.Details["labels"]); string(labels) != string(must(json.Marshal(want))(t)) {
				t.Errorf("the entry has %s", labels)
			}
		}
	}
	for query, n := range map[string]int{
		"label=other": 1, "label=night": 0, "label=%25": 0, "label=other&action=code.executed": 1, "label=other&outcome=denied": 0, "label=nightly&action=zk.executed": 1,
	} {
		if got := len(a.auditLog(t, query)); got != n {
			t.Errorf("%s: %d entries, want %d", query, got, n)
		}
	}
	if got := len(a.server.register(t).auditLog(t, "label=nightly")); got != 0 {
		t.Errorf("%d entries of another user, want 0", got)
	}
}
