/** Images that one Dockerfile may need: each is asked of a registry, which allows so many questions a minute. */
export const maxParents = 200;
