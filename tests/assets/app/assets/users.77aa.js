export const user = (id) => `user ${id}`;
