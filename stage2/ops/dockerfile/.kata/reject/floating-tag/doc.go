// A version tag is taken for a pin: golang:1.26-bookworm is rebuilt every few weeks.
//
//kata:caught-by TestPinned
package dockerfile
