// Has the checksum of the go.mod file and not that of the module.
//
//kata:caught-by TestVerify
package workspace
