// Only the command is checked, not the packages of the module.
//
//kata:caught-by TestVulnerabilities
package githubactions
