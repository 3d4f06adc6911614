// The rights for the attestation are given to the whole workflow, tests of strangers included.
//
//kata:caught-by TestPermissions
package githubactions
