// pull_request_target is used because secrets were missing: a stranger's pull request now runs with the rights of the repository.
//
//kata:caught-by TestTriggers
package githubactions
