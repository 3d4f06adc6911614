// BuildKit offers TARGETARCH, but a stage has to ask for it by ARG: here it is empty, and go takes the builder's.
//
//kata:caught-by TestPlatforms
package dockerfile
