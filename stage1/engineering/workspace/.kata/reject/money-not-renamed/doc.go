// Requires version 2 everywhere, but leaves the module itself under the path of version 1: the next release cannot be tagged v2.
//
//kata:caught-by TestMajorVersion
package workspace
