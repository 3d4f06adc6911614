// Keeps a checksum that a merge has garbled.
//
//kata:caught-by TestVerify
package workspace
