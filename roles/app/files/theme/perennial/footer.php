<?php
/**
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Footer: menu and the entries that a site's law may ask for on every page.
 */

defined( 'ABSPATH' ) || exit;

$perennial_links = array(
	'complaint_url' => __( 'Complaints and reports', 'perennial' ),
	'terms_url'     => __( 'User agreement', 'perennial' ),
	'contact_url'   => __( 'Contact', 'perennial' ),
);
?>
	</div>
</main>
<footer class="site-footer">
	<div class="wrap">
		<?php if ( has_nav_menu( 'footer' ) ) : ?>
			<nav aria-label="<?php esc_attr_e( 'Footer menu', 'perennial' ); ?>">
				<?php wp_nav_menu( array( 'theme_location' => 'footer', 'container' => false, 'menu_class' => 'menu', 'depth' => 1 ) ); ?>
			</nav>
		<?php endif; ?>
		<ul class="legal">
			<li>© <?php echo esc_html( wp_date( 'Y' ) . ' ' . get_bloginfo( 'name' ) ); ?></li>
			<?php foreach ( $perennial_links as $perennial_name => $perennial_text ) : ?>
				<?php if ( '' !== Perennial\Theme\footer_option( $perennial_name ) ) : ?>
					<li><a href="<?php echo esc_url( Perennial\Theme\footer_option( $perennial_name ) ); ?>"><?php echo esc_html( $perennial_text ); ?></a></li>
				<?php endif; ?>
			<?php endforeach; ?>
			<?php the_privacy_policy_link( '<li>', '</li>' ); ?>
			<?php if ( '' !== Perennial\Theme\footer_option( 'icp' ) ) : ?>
				<li class="icp"><a href="https://beian.miit.gov.cn/" rel="noopener noreferrer"><?php echo esc_html( Perennial\Theme\footer_option( 'icp' ) ); ?></a></li>
			<?php endif; ?>
			<?php if ( '' !== Perennial\Theme\footer_option( 'police' ) ) : ?>
				<li class="police"><a href="https://beian.mps.gov.cn/" rel="noopener noreferrer"><?php echo esc_html( Perennial\Theme\footer_option( 'police' ) ); ?></a></li>
			<?php endif; ?>
		</ul>
	</div>
</footer>
<?php wp_footer(); ?>
</body>
</html>
