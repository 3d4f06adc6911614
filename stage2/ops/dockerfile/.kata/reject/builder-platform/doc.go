// The compiler runs on the builder's platform and is never told of the target's: arm64 images hold amd64 programs.
//
//kata:caught-by TestPlatforms
package dockerfile
