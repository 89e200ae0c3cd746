# The broker alone: docker build -t inlet-broker . && docker run -v inlet:/data -p 9092:9092 inlet-broker start --kafka-host 0.0.0.0
FROM node:24-bookworm-slim
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --omit=dev && mkdir /data && chown node:node /data
COPY bin ./bin
COPY schemas ./schemas
COPY catalogs ./catalogs
COPY src ./src
USER node
ENV INLET_DATA_DIRECTORY=/data
VOLUME /data
EXPOSE 9092 8081 8181 8080
# Becomes the broker's own process (bin/inlet does not stay in front), so that SIGTERM from `docker stop` ends it gracefully.
ENTRYPOINT ["bin/inlet"]
CMD ["start"]
