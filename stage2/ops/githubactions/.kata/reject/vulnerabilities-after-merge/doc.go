// govulncheck runs on pushes only, so a pull request learns of it once it is merged.
//
//kata:caught-by TestVulnerabilities
package githubactions
