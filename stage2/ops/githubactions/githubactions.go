// Package githubactions is the kata's Go side: it knows the commits of some actions, so that nobody has to look them up.
//
// Nothing in here is to be edited. The answer is in ci.yml.
package githubactions

// Commits are the commits behind some releases of actions.
var Commits = map[string]string{
	"actions/checkout v4.2.2":                "11bd71901bbe5b1630ceea73d27597364c9af683",
	"actions/setup-go v5.5.0":                "d35c59abb061a4a6fb18e82ac0862c26744d6ab5",
	"actions/cache v4.2.3":                   "5a3ec84eff668545956fd18022155c47e93e2684",
	"actions/upload-artifact v4.6.2":         "ea165f8d65b6e75b540449e92b4886f43607fa02",
	"actions/attest-build-provenance v2.4.0": "e8998f949152b193b063cb0ec769d69d929409be",
}
