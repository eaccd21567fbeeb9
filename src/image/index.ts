export { type BuildImageOptions, buildImage } from './build.ts'
export { BUILD_STEPS, type BuildEvent, type BuildStep } from './build-context.ts'
export {
  type Image,
  type ImageSummary,
  listImages,
  openImage,
  openImageDirectory,
  type OpenImageOptions,
} from './image.ts'
export { IMAGE_FORMAT, type ImageManifest } from './manifest.ts'
export { describeImage, type Sbom, type SbomComponent } from './sbom.ts'
export { type VerifiedPart, verifyImage, type VerifyReport } from './verify.ts'
