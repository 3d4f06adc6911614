// The label of a runner is misspelt: the job waits for a day for one that does not exist.
//
//kata:caught-by TestValid
package githubactions
